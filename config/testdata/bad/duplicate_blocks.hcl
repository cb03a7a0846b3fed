log {}

log { level = "debug" }

listener "https" {
  address = ":443"

  inspect {}
  inspect { timeout = "1s" }

  filter_chain "app" {
    match {}
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
