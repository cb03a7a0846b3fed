runtime { max_connections = -1 }

listener "zero" {
  address         = ":443"
  max_connections = "10"

  accept_limit {
    rate  = 0
    burst = 0
  }

  per_source {
    max_connections = 1.5
    rate            = 0.0001
    burst           = 1
  }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "wrong" {
  address = ":446"

  accept_limit {
    rate  = "10"
    burst = 1e9
  }
  per_source { rate = 2000000 }
  accept_limit { rate = 1 }

  filter_chain "app" {
    per_source { rate = 1 }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
