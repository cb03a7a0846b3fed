listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "a" }
  }
}

cluster "a" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type = "http"
    host = "10.0.0.11:8443"
  }
}

cluster "b" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type = "http"
    host = "[2001:db8::1]"
  }
}

cluster "c" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type = "tls"
    host = "fe80::1%eth0"
  }
}

cluster "d" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    send   = "hex:"
    expect = "hex: "
  }
}
