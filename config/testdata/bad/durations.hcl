listener "https" {
  address          = ":443"
  tcp_user_timeout = 5

  inspect { timeout = "5" }

  tcp_keepalive {
    idle     = "500ms"
    interval = "-1s"
    probes   = 0
  }

  filter_chain "app" {
    route {
      cluster            = "app"
      idle_timeout       = "1d"
      half_close_timeout = "soon"
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
