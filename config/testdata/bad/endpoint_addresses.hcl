listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = [
    "api.internal",
    "10.0.0.1:0",
    ":8443",
    "0.0.0.0:8443",
    "10.0.0.1",
    "https://10.0.0.1:443",
  ]

  endpoint "backend" {}
}
