#! HIDDEN=10.20.30.40:9901
admin { address = env("HIDDEN") }

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
