listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
