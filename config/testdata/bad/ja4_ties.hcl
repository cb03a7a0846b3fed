listener "ties" {
  address = ":444"

  filter_chain "browsers" {
    match {
      server_names = ["a.example.com"]
      ja4          = ["t13d1516h2_8daaf6152771_e5627efa2ab1", "t13d1715h2_5b57614c22b0_3d5424432f57"]
    }
    route { cluster = "app" }
  }

  # Not a tie: it has no fingerprint, and takes what the others leave.
  filter_chain "anybody" {
    match { server_names = ["a.example.com"] }
    route { cluster = "app" }
  }

  filter_chain "some" {
    match {
      server_names = ["a.example.com"]
      ja4          = ["t13d1312h2_f57a46bbacb6_ab7e3b40a677", "t13d1715h2_5b57614c22b0_3d5424432f57"]
    }
    route { cluster = "app" }
  }
}

listener "implied" {
  address = ":445"

  filter_chain "says-tls" {
    match {
      transport_protocol = "tls"
      ja4                = ["t13d1516h2_8daaf6152771_e5627efa2ab1"]
    }
    route { cluster = "app" }
  }

  filter_chain "implies-tls" {
    match { ja4 = ["t13d1516h2_8daaf6152771_e5627efa2ab1"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
