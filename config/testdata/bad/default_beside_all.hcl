listener "https" {
  address     = ":443"

  filter_chain "all" {
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
