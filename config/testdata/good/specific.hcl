# Chains that overlap without tying: for every connection one of them is more
# specific.
listener "a" {
  addresses = ["0.0.0.0:443", "[::]:443", "10.0.0.1:8443"]

  filter_chain "exact" {
    match { server_names = ["a.test"] }
    route { cluster = "c" }
  }
  filter_chain "wildcard" {
    match { server_names = ["*.test"] }
    route { cluster = "c" }
  }
  filter_chain "exact-h2" {
    match {
      server_names          = ["a.test"]
      application_protocols = ["h2"]
    }
    route { cluster = "c" }
  }
  filter_chain "exact-http" {
    match {
      server_names          = ["a.test"]
      application_protocols = ["http/1.1"]
    }
    route { cluster = "c" }
  }
  filter_chain "exact-port" {
    match {
      server_names     = ["a.test"]
      destination_port = 443
    }
    route { cluster = "c" }
  }
  filter_chain "narrow" {
    match { source_prefix_ranges = ["10.0.0.0/16"] }
    route { cluster = "c" }
  }
  filter_chain "wide" {
    match { source_prefix_ranges = ["10.0.0.0/8"] }
    route { cluster = "c" }
  }
  filter_chain "tls" {
    match { transport_protocol = "tls" }
    route { cluster = "c" }
  }
  filter_chain "rest" {
    route { cluster = "c" }
  }
}

listener "b" {
  addresses = ["10.0.0.1:444", "10.0.0.2:444", "[::1]:444"]

  default_filter_chain {
    route { cluster = "c" }
  }
}

cluster "c" {
  endpoints = ["10.0.0.1:1"]
}
