listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}
listener "https" {
  address = ":444"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }

  filter_chain "app" {
    match { server_names = ["www.example.com"] }
    route { cluster = "app" }
  }

  filter_chain "default" {
    match { server_names = ["other.example.com"] }
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
