listener "nothing" {
  address = ":444"

  accept_limit {}
  per_source {}

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "burst_alone" {
  address = ":445"

  accept_limit { burst = 5 }
  per_source {
    max_connections = 10
    burst           = 5
  }

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
