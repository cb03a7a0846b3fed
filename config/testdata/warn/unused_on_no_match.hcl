listener "warned" {
  address     = ":444"
  on_no_match = "close"

  filter_chain "all" {
    route { cluster = "app" }
  }
}

listener "default" {
  address     = ":445"
  on_no_match = "close"

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
