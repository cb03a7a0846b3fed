admin {
  address = ":9901"

  tls {
    certificate {
      cert_file = "pki/app.pem"
      key_file  = "pki/app.key"
    }
  }
}

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
