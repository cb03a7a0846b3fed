listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "a" }
  }
}

cluster "a" {
  endpoints             = ["10.0.0.11:8443"]
  on_endpoint_unhealthy = "kill"
  on_endpoint_removed   = "keeep"

  health_check {
    type                = "tpc"
    interval            = "0s"
    jitter              = "10"
    healthy_threshold   = 0
    unhealthy_threshold = 1001
    send                = "hex:4"
    port                = 65536
  }
}

cluster "b" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    interval          = "1s"
    jitter            = "110%"
    path              = "/healthz"
    host              = "b.example.com"
    expected_statuses = [200]
  }
  health_check {}
}

cluster "c" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type              = "http"
    send              = "PING"
    expect            = "PONG"
    path              = "healthz"
    host              = "b.example.com:80"
    jitter            = "some"
    expected_statuses = ["2xx", "200-", "299-200", 700, "204", "204"]
  }
}

cluster "d" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type              = "http"
    path              = "/a b"
    expected_statuses = []
    timeout           = "0s"
    interval          = 5
  }
}

cluster "e" {
  endpoints = ["10.0.0.11:8443"]

  health_check {
    type   = "tls"
    path   = "/é"
    send   = ""
    retries = 3
  }
}
