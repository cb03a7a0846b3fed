listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {}
