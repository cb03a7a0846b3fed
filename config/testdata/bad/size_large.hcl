listener "https" {
  address = ":443"

  inspect { max_bytes = "1MiB" }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
