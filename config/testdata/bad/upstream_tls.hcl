listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "contradiction" }

    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
    }
  }
}

cluster "contradiction" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    ca_file              = "pki/ca.pem"
    insecure_skip_verify = true
  }
}

cluster "files" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    ca_file = "pki/missing.pem"

    certificate {
      cert_file = "pki/app.pem"
      key_file  = "pki/other.key"
    }
  }
}

cluster "certificates" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    ca_file = "pki/app.key"

    certificate { cert_file = "pki/app.pem" }
    certificate {
      cert_file = "pki/app.pem"
      key_file  = "pki/app.key"
    }
  }
}

cluster "words" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    ca_file        = "pki/ca.pem"
    server         = "api.internal"
    min_version    = "1.3"
    alpn_protocols = ["h2", ""]
  }
  tls {}
}
