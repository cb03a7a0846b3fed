listener "https" {
  address = ":443"

  filter_chain "passed-by-name" {
    match { server_names = ["app.example.com"] }
    route { cluster = "named" }
  }
  filter_chain "passed-by-protocol" {
    match { application_protocols = ["h2"] }
    route {
      weighted_cluster "plain" {}
      weighted_cluster "named" {}
    }
  }
  filter_chain "passed" {
    match { transport_protocol = "tls" }
    route { cluster = "nameless" }
  }
  filter_chain "plain" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "nameless" }
  }
}

listener "anything" {
  address = ":4433"

  default_filter_chain {
    route { cluster = "nameless" }
  }
}

listener "unix" {
  address = ":4434"

  default_filter_chain {
    route { cluster = "socket" }
  }
}

cluster "named" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    server_name = "api.internal"
    ca_file     = "pki/ca.pem"
  }
}

cluster "nameless" {
  endpoints = ["10.0.0.11:8443"]

  tls { ca_file = "pki/ca.pem" }
}

cluster "socket" {
  endpoints = ["unix:run/api.sock"]

  tls { ca_file = "pki/ca.pem" }
}

cluster "plain" {
  endpoints = ["10.0.0.12:80"]
}

listener "discovered" {
  address = ":4435"

  default_filter_chain {
    route {
      weighted_cluster "file" {}
      weighted_cluster "srv" {}
      weighted_cluster "mixed" {}
      weighted_cluster "good" {}
    }
  }
}

cluster "file" {
  discovery "file" { path = "endpoints.json" }

  tls { ca_file = "pki/ca.pem" }
}

cluster "srv" {
  discovery "dns" {
    host = "_api._tcp.example.com"
    type = "srv"
  }

  tls { ca_file = "pki/ca.pem" }
}

cluster "mixed" {
  endpoints = ["api.internal:443", "10.0.0.13:443"]

  tls { ca_file = "pki/ca.pem" }
}

cluster "good" {
  endpoints = ["api.internal:443"]

  tls { ca_file = "pki/ca.pem" }
}
