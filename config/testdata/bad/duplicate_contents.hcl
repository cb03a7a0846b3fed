# What is wrong in a block that is one too many is reported too.
log {}

log { level = "louder" }

access_log {}

access_log { path = "" }

runtime {}

runtime { workers = -1 }

listener "https" {
  address = ":443"

  inspect {}
  inspect { timeout = "1" }

  tcp_keepalive {}
  tcp_keepalive { probes = 0 }

  filter_chain "app" {
    match {}
    match { server_names = ["*"] }
    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
      client_auth { ca_file = "pki/ca.pem" }
      client_auth { ca_file = "pki/missing.pem" }
      session_tickets {}
      session_tickets { key_files = [""] }
    }
    tls { min_version = "1.1" }
    route { cluster = "app" }
    route { idle_timeout = "1" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }

  default_filter_chain {
    on_upstream_failure = "rst"
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}

listener "limited" {
  address = "127.0.0.1:444"

  accept_limit { rate = 10 }
  accept_limit { rate = 0 }

  per_source { rate = 10 }
  per_source { burst = "x" }

  access { deny = ["203.0.113.0/24"] }
  access { deny = ["203.0.113.0/33"] }

  proxy_protocol { trusted = ["10.0.0.0/8"] }
  proxy_protocol { mode = "need" }

  filter_chain "limited" {
    access {}
    access { allow = ["x"] }
    route { cluster = "kept" }
  }
}

cluster "kept" {
  endpoints       = ["10.0.0.12:8443"]
  connect_timeout = "1s"

  health_check { type = "http" }
  health_check {
    interval = "1"
    path     = "/ready"
  }

  outlier_detection { base_ejection_time = "1s" }
  outlier_detection {
    max_ejection_time    = "10s"
    max_ejection_percent = 101
  }

  limits { max_connections = 10 }
  limits {
    max_pending   = -1
    queue_timeout = "5s"
  }

  proxy_protocol { version = 1 }
  proxy_protocol { tlvs = ["autority"] }

  tls { ca_file = "pki/ca.pem" }
  tls {
    server_name = "*.internal"
    ca_file     = "pki/missing.pem"
    certificate {
      cert_file = "pki/app.pem"
      key_file  = "pki/app.key"
    }
    certificate { cert_file = "pki/none.pem" }
    certificate {
      cert_file = "pki/none.pem"
      key_file  = "pki/app.key"
    }
  }
}
