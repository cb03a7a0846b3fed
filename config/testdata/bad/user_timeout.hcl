listener "a" {
  address          = ":443"
  tcp_user_timeout = "500us"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

listener "b" {
  address          = ":444"
  tcp_user_timeout = "600h"

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
