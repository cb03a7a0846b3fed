listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"]

  endpoint "10.0.0.2:80" { weight = 2 }
  endpoint "10.0.0.3:80" { name = "a" }
  endpoint "10.0.0.4:80" { name = "a" }
}
