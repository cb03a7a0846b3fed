listener "https" {
  address = ":443"

  filter_chain "app" {
    match { ja4 = ["t13d"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
