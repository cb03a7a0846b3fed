listener "https" {
  address = ":443"

  filter_chain "app" {
    route {
      weighted_cluster "sticky" {}
      weighted_cluster "first" {}
      weighted_cluster "unlimited" {}
    }
  }
}

cluster "sticky" {
  lb_policy  = "maglev"
  slow_start = "10s"
  endpoints  = ["10.0.0.11:8443"]
}

cluster "first" {
  lb_policy = "first"
  endpoints = ["10.0.0.12:8443"]

  limits {
    max_connections = 10
    queue_timeout   = "3s"
  }
}

cluster "unlimited" {
  endpoints = ["10.0.0.13:8443"]

  limits { max_pending = 10 }
}
