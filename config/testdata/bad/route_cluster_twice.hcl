listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route {
      weighted_cluster "app" { weight = 1 }
      weighted_cluster "app" { weight = 2 }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
