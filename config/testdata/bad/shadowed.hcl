listener "https" {
  addresses = [":443"]

  filter_chain "plain" {
    match {
      server_names = ["a.example.com"]
    }
    route { cluster = "app" }
  }

  filter_chain "explicit" {
    match {
      server_names       = ["a.example.com", "b.example.com"]
      transport_protocol = "tls"
    }
    route { cluster = "app" }
  }

  filter_chain "with-port" {
    match {
      server_names     = ["c.example.com"]
      destination_port = 443
    }
    route { cluster = "app" }
  }

  filter_chain "without-port" {
    match {
      server_names       = ["c.example.com"]
      transport_protocol = "tls"
    }
    route { cluster = "app" }
  }

  filter_chain "partly" {
    match {
      server_names = ["b.example.com", "d.example.com"]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
