admin {
  adress = "127.0.0.1:9902"
  tls { cert_file = "pki/app.pem" }
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
