listener "https" {
  address = ":443"

  filter_chain "app" {
    match {
      source_prefix_ranges = [
        "10.1.0.0/8",
        "10.0.0.1",
        "10.0.0.0/33",
        "::ffff:10.0.0.0/104",
        "2001:db8::1/32",
        "internal",
        "10.0.0.0/8",
        "10.0.0.0/8",
      ]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
