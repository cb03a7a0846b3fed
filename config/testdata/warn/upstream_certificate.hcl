listener "https" {
  address = ":443"

  default_filter_chain {
    route { cluster = "api" }
  }
}

cluster "api" {
  endpoints = ["10.0.0.11:8443"]

  tls {
    server_name = "api.internal"
    ca_file     = "pki/ca.pem"

    certificate {
      cert_file = "pki/expired.pem"
      key_file  = "pki/expired.key"
    }
  }
}
