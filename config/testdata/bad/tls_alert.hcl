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
    }
    on_upstream_failure = "tls_alert"
  }

  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "app" }
    on_upstream_failure = "tls_alert"
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
