# Whatever can be left out is, or is null, which is the same.
log {}

access_log { types = null }

runtime { workers = null }

listener "https" {
  address = ":443"

  inspect {}

  filter_chain "app" {
    match { server_names = [] }
    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
      client_auth {
        ca_file  = "pki/ca.pem"
        crl_file = ""
      }
      session_tickets { key_files = [] }
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.1:80"]
}
