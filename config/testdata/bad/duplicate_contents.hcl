# What is wrong in a block that is one too many is reported too.
log {}

log { level = "louder" }

access_log {}

access_log { path = "" }

runtime {}

runtime { workers = -1 }

listener "https" {
  address = ":443"

  inspect {}
  inspect { timeout = "1" }

  tcp_keepalive {}
  tcp_keepalive { probes = 0 }

  filter_chain "app" {
    match {}
    match { server_names = ["*"] }
    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
      client_auth { ca_file = "pki/ca.pem" }
      client_auth { ca_file = "pki/missing.pem" }
      session_tickets {}
      session_tickets { key_files = [""] }
    }
    tls { min_version = "1.1" }
    route { cluster = "app" }
    route { idle_timeout = "1" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }

  default_filter_chain {
    on_upstream_failure = "rst"
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
