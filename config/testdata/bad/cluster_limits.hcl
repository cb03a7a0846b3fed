listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]

  limits {
    max_connections = -1
    max_pending     = "many"
    queue_timeout   = "5"
  }
  outlier_detection {
    consecutive_failures = 0
    base_ejection_time   = "10m"
    max_ejection_time    = "5m"
    max_ejection_percent = 0
  }
}

cluster "other" {
  endpoints = ["10.0.0.12:8443"]

  outlier_detection {
    base_ejection_time   = "0s"
    max_ejection_percent = 150
  }
}
