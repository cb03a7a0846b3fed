log { level = 3 }

access_log {
  enabled = "yes"
  types   = "end"
}

runtime {
  workers = "4"
  splice  = true
}

listener "https" {
  addresses = [":443", 8443, null]
  backlog   = 1.5

  filter_chain "app" {
    match { server_names = "app.example.com" }
    route { cluster = ["app"] }

    tls {
      min_version = 1.2
      max_version = { a = true }
      client_auth {
        ca_file      = "pki/ca.pem"
        allowed_sans = [true]
      }
      session_tickets { key_files = [5, ""] }
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
