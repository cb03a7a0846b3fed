listener "prefixes" {
  address = ":443"

  access {
    allow = ["10.0.0.1", "10.1.0.0/8", "::ffff:10.0.0.0/104", "office"]
    deny  = ["10.0.0.0/8", "10.0.0.0/8", 7]
  }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "contradicts" {
  address = ":444"

  access {
    allow = ["10.1.0.0/16", "10.2.0.0/16"]
    deny  = ["203.0.113.0/24", "10.0.0.0/8"]
  }

  filter_chain "halves" {
    match { source_ports = [1] }
    access {
      allow = ["192.0.2.0/24", "2001:db8::/32"]
      deny = [
        "192.0.2.0/25",
        "192.0.2.128/25",
        "2001:db8::/32",
      ]
    }
    route { cluster = "app" }
  }

  default_filter_chain {
    access {
      allow = ["10.0.0.0/8"]
      deny  = ["0.0.0.0/0"]
    }
    route { cluster = "app" }
  }
}

listener "local" {
  address = "unix:/run/app.sock"

  access { allow = ["127.0.0.0/8"] }

  filter_chain "app" {
    access { allow = ["::/0", "0.0.0.0/0"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
