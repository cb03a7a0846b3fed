listener "https" {
  addresses = [":443"]

  filter_chain "names" {
    match {
      server_names       = ["a.example.com"]
      transport_protocol = "raw_buffer"
    }
    route { cluster = "app" }
  }

  filter_chain "alpn" {
    match {
      application_protocols = ["h2"]
      transport_protocol    = "raw_buffer"
    }
    route { cluster = "app" }
  }

  filter_chain "tls" {
    match {
      transport_protocol = "raw_buffer"
    }
    route { cluster = "app" }

    tls {
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
