listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}
listener "other" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

listener "unix" {
  addresses = ["unix:/run/a.sock", "unix:/run/../run/a.sock", "0.0.0.0:0", "0.0.0.0:00"]

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
