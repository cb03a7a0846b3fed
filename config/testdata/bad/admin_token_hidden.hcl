#! HIDDEN=hunter2.token
admin { token_file = env("HIDDEN") }

listener "https" {
  address = ":443"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
