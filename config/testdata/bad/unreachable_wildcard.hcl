listener "https" {
  addresses = ["0.0.0.0:443"]

  filter_chain "prefix" {
    match {
      destination_prefix_ranges = ["2001:db8::/32"]
    }
    route { cluster = "app" }
  }

  filter_chain "good" {
    match {
      destination_prefix_ranges = ["10.0.0.0/8"]
      destination_port          = 443
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
