listener "missing" {
  address = ":443"

  proxy_protocol {}

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "empty" {
  address = ":444"

  proxy_protocol { trusted = [] }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "wrong" {
  address = ":445"

  proxy_protocol {
    mode    = "required"
    trusted = ["10.0.0.1", "10.1.0.0/8", 7, "unix:", "unix:", "unix:/run/x.sock"]
  }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "unix" {
  address = "unix:/run/x.sock"

  proxy_protocol { trusted = ["10.0.0.0/8"] }

  filter_chain "app" {
    match {
      source_prefix_ranges        = ["192.0.2.0/24"]
      direct_source_prefix_ranges = ["10.0.0.0/8"]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
