admin { address = "127.0.0.1:443" }

metrics { address = "10.0.0.1:443" }

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
