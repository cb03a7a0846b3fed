listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "" }
  }
}
listener "b" {
  address = ":444"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = null }
  }
}
