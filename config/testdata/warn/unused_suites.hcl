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
      min_version   = "1.3"
      cipher_suites = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
