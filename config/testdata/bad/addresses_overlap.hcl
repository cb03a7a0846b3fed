listener "specific" {
  addresses = ["10.0.0.1:443", "[::1]:443", "10.0.0.1:444"]

  default_filter_chain {
    route { cluster = "app" }
  }
}

listener "wildcard" {
  addresses = ["0.0.0.0:443", "[::]:443", ":444"]

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
