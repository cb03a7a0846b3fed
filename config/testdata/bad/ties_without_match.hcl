listener "https" {
  address = ":443"

  filter_chain "a" {
    route { cluster = "app" }
  }

  filter_chain "b" {
    match {}
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
