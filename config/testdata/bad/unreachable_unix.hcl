listener "https" {
  addresses = ["unix:/run/a.sock"]

  filter_chain "a" {
    match {
      destination_port          = 443
      destination_prefix_ranges = ["10.0.0.0/8"]
      source_prefix_ranges      = ["10.0.0.0/8"]
      source_ports              = [1]
      direct_source_prefix_ranges = ["10.0.0.0/8"]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
