listener "https" {
  address = ":443"

  filter_chain "suites" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }

    tls {
      max_version   = "1.2"
      cipher_suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]

      certificate {
        cert_file = "pki/rsa.pem"
        key_file  = "pki/rsa.key"
      }
    }
  }

  filter_chain "protocols" {
    match {
      server_names          = ["app.example.com"]
      application_protocols = ["h2", "spdy"]
    }
    route { cluster = "app" }

    tls {
      alpn_protocols = ["http/1.1"]

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
