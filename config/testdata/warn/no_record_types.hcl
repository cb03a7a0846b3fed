access_log { types = [] }

listener "warned" {
  address     = ":444"

  filter_chain "all" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
