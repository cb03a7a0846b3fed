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
      min_version   = "1.1"
      max_version   = "TLSv1.3"
      cipher_suites = ["TLS_RSA_WITH_RC4_128_SHA", "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265", "strong"]
      ecdh_curves   = ["X25519", "P-257", "secp256k1"]
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
