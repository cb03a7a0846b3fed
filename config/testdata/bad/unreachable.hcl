listener "https" {
  addresses = ["10.0.0.1:443", "192.168.0.1:444"]

  filter_chain "port" {
    match {
      destination_port = 8443
    }
    route { cluster = "app" }
  }

  filter_chain "prefix" {
    match {
      destination_prefix_ranges = ["10.0.1.0/24", "::/0"]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
