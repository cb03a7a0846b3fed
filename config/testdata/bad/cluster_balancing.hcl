listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route {
      cluster = "app"
      hash_on = "source_ip"
    }
  }
  default_filter_chain {
    route {
      weighted_cluster "app"    {}
      weighted_cluster "sticky" {}
      hash_on = "sni"
    }
  }
}

cluster "app" {
  lb_policy       = "random"
  hash_on         = "source_ip"
  panic_threshold = 101
  slow_start      = "10"

  endpoint "10.0.0.11:8443" {
    weight          = 0
    priority        = -1
    max_connections = 1.5
  }
  endpoint "10.0.0.12:8443" { weight = 2000000 }
}

cluster "sticky" {
  lb_policy         = "maglev"
  hash_on           = "source"
  retry_early_reset = "yes"
  endpoints         = ["10.0.0.13:8443"]
}
