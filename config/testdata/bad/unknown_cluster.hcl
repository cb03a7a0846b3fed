listener "https" {
  address = ":443"

  filter_chain "api" {
    match { server_names = ["api.example.com"] }

    route {
      cluster = "api-bakend"
    }
  }

  filter_chain "web" {
    match { server_names = ["web.example.com"] }

    route {
      weighted_cluster "api-backend" { weight = 1 }
      weighted_cluster "shop"        { weight = 1 }
    }
  }
}

cluster "api-backend" {
  endpoints = ["10.0.0.11:8443"]
}
