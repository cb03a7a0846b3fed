listener "https" {
  address = ":443"

  filter_chain "app" {
    match {
      destination_port = 0
      source_ports     = [0, 1, 65536, "80", 1]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
