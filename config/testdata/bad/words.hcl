log {
  level  = "warning"
  format = "text"
}

access_log { types = ["end", "begin", "conected"] }

runtime { splice = "on" }

listener "https" {
  address     = ":443"
  on_no_match = "drop"

  filter_chain "app" {
    match { transport_protocol = "TLS" }
    route { cluster = "app" }
    on_upstream_failure = "rst"
  }
}

cluster "app" {
  lb_policy = "roundrobin"
  endpoints = ["10.0.0.11:8443"]
}
