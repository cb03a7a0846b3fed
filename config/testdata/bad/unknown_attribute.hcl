listener "https" {
  adress = ":443"

  inspect { patience = "5s" }

  filter_chain "app" {
    match { server_name = ["app.example.com"] }
    route {
      cluster     = "app"
      retry_on    = "connect"
      halfclose_timeout = "1m"
    }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
