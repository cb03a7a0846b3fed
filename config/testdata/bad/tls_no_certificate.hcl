listener "https" {
  addresses = [":443"]

  filter_chain "app" {
    match {
      server_names = ["app.example.com"]
    }
    route { cluster = "app" }

    tls {
      certificate {
        cert_file = "pki/app.key"
        key_file  = "pki/app.key"
      }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
