listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    dynamic "route" {
      for_each = ["app", "app2"]
      content {
        cluster = route.value
      }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
