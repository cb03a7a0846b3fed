# The smallest useful gateway: TLS connections for app.example.com are passed
# through to two endpoints, the one with fewer connections first. The gateway
# reads the name from the client's hello and needs no certificate. Whoever
# asks for another name, or for none, is refused with a reset.

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443", "10.0.0.12:8443"]
}
