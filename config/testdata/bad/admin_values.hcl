admin {
  enabled = "yes"
  address = "localhost:9901"
  mode    = 0660
  group   = "no-such-group"
  tls {}
}

metrics { address = "unix:metrics.sock" }

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
