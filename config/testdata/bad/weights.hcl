listener "https" {
  address = ":443"

  filter_chain "app" {
    route {
      weighted_cluster "app"    { weight = 0 }
      weighted_cluster "canary" { weight = -5 }
      weighted_cluster "other"  { weight = "5" }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}

cluster "canary" {
  max_connect_attempts = 0

  endpoint "10.0.0.12:8443" { weight = 0 }
}

cluster "other" {
  endpoints = ["10.0.0.13:8443"]
}
