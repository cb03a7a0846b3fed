listener "https" {
  addresses = [":443"]

  filter_chain "app" {
    match {
      server_names = ["app.example.com"]
    }
    route { cluster = "app" }

    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }

      client_auth {
        ca_file = "pki/many.pem"
      }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
