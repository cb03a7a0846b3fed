log { level = "debug" }

access_log { enabled = false }

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}
