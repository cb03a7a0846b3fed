# What is off needs neither token nor TLS, and is in nobody's way.
admin {
  enabled = false
  address = ":443"
}

metrics { address = "0.0.0.0:9901" }

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
