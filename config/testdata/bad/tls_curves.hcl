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
      max_version = "1.2"
      ecdh_curves = ["X25519MLKEM768", "SecP256r1MLKEM768"]
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
