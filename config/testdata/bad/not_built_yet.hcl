runtime {
  watch           = true
  readiness_delay = "5s"
  pid_file        = "sluice.pid"
}

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
