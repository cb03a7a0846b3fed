listener "https" {
  address = ":443"

  default_filter_chain {
    route { cluster = "name-1" }

    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
    }
  }
}

dynamic "cluster" {
  for_each = [
    "*.api.internal", "https://api.internal/", "api.internal:8443", "10.0.0.11:8443", "[::1]", "fe80::1%eth0",
    "api internal", "bücher.example", "a..b",
  ]
  labels = ["name-${cluster.key}"]

  content {
    endpoints = ["10.0.0.11:8443"]

    tls {
      ca_file     = "pki/ca.pem"
      server_name = cluster.value
    }
  }
}
