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

  filter_chain "ja4" {
    match {
      ja4                = ["t13d1516h2_8daaf6152771_e5627efa2ab1"]
      transport_protocol = "raw_buffer"
    }
    route { cluster = "app" }
  }

  filter_chain "nameless" {
    match {
      server_names = ["b.example.com"]
      ja4          = ["t13i1515h2_8daaf6152771_e5627efa2ab1", "t13i131000_f57a46bbacb6_ab7e3b40a677"]
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
