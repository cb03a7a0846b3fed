# What a real gateway runs in the test of proxy-config: three listeners, twelve
# filter chains, of which the winners do not stand first, weighted clusters,
# matches on sources, an endpoint that is unhealthy and one that is ejected. The
# test puts an echo server in the place of port 8443, and nobody in that of 9443.

admin {
  address = "unix:admin.sock"
}

log {
  format = "json"
}

access_log {
  enabled = false
}

listener "https" {
  addresses = ["127.0.0.1:0", "127.0.0.2:0"]

  default_filter_chain {
    route { cluster = "fallback" }
  }

  filter_chain "plain" {
    match {
      transport_protocol        = "raw_buffer"
      destination_prefix_ranges = ["127.0.0.2/32"]
    }
    route { cluster = "legacy" }
  }

  filter_chain "apps" {
    match { server_names = ["*.apps.example.com"] }
    route { cluster = "apps" }
  }

  filter_chain "v2-apps" {
    match { server_names = ["*.v2.apps.example.com"] }
    route {
      hash_on = "source_ip"
      weighted_cluster "apps" { weight = 2 }
      weighted_cluster "app" { weight = 1 }
    }
  }

  filter_chain "app" {
    match { server_names = ["app.example.com", "www.example.com"] }
    route { cluster = "app" }
  }

  filter_chain "api" {
    match { server_names = ["api.example.com"] }
    tls {
      certificate {
        cert_file = "api.pem"
        key_file  = "api.key"
      }
    }
    route {
      weighted_cluster "api" { weight = 95 }
      weighted_cluster "api-canary" { weight = 5 }
    }
  }

  filter_chain "api-h2" {
    match {
      server_names          = ["api.example.com"]
      transport_protocol    = "tls"
      application_protocols = ["h2"]
    }
    tls {
      certificate {
        cert_file = "api.pem"
        key_file  = "api.key"
      }
      alpn_protocols = ["h2"]
    }
    route { cluster = "api" }
  }

  filter_chain "api-partners" {
    match {
      server_names         = ["api.example.com"]
      transport_protocol   = "tls"
      source_prefix_ranges = ["198.51.100.0/24", "2001:db8:7::/48"]
    }
    tls {
      certificate {
        cert_file = "api.pem"
        key_file  = "api.key"
      }
      client_auth {
        mode    = "require"
        ca_file = "ca.pem"
      }
    }
    route { cluster = "api-partners" }
  }
}

listener "mesh" {
  address     = "127.0.0.3:0"
  on_no_match = "tls_alert"
  proxy_protocol { trusted = ["127.0.0.0/8"] }

  filter_chain "mesh-team" {
    match { source_prefix_ranges = ["10.1.0.0/16"] }
    route { cluster = "billing" }
  }

  filter_chain "mesh-ports" {
    match {
      source_prefix_ranges = ["10.0.0.0/8"]
      source_ports         = [4711, 4712]
    }
    route { cluster = "billing" }
  }

  filter_chain "mesh-direct" {
    match {
      source_prefix_ranges        = ["10.1.2.0/24"]
      direct_source_prefix_ranges = ["127.0.0.0/8"]
    }
    route { cluster = "billing" }
  }
}

listener "database" {
  address = "unix:db.sock"

  filter_chain "db" {
    route {
      cluster                            = "db"
      idle_timeout                       = "0s"
      max_downstream_connection_duration = "24h"
    }
  }
}

cluster "api" {
  endpoint "127.0.1.9:8443" {
    name   = "api-1"
    weight = 2
  }
  endpoint "127.0.1.10:9443" { name = "api-2" }
  health_check {
    interval            = "100ms"
    unhealthy_threshold = 1
    healthy_threshold   = 1
  }
  limits {
    max_connections = 1000
    max_pending     = 50
    queue_timeout   = "1s"
  }
}

cluster "api-canary" {
  endpoints = ["127.0.1.11:8443"]
}

cluster "api-partners" {
  endpoints = ["127.0.1.12:8443", "127.0.1.12:9443"]
  tls { insecure_skip_verify = true }
}

cluster "app" {
  lb_policy = "maglev"
  hash_on   = "source_ip"
  endpoint "127.0.1.13:8443" { name = "app-1" }
  discovery "file" { path = "endpoints.json" }
}

cluster "apps" {
  lb_policy = "round_robin"
  endpoints = ["127.0.1.14:8443"]
}

cluster "legacy" {
  lb_policy = "random"
  endpoints = ["127.0.1.15:8443"]
}

cluster "fallback" {
  lb_policy = "first"
  endpoint "127.0.1.9:8443" { priority = 0 }
  endpoint "127.0.1.16:8443" { priority = 1 }
}

# The first endpoint does not answer, and is ejected for that.
cluster "billing" {
  lb_policy = "first"
  endpoints = ["127.0.1.17:9443", "127.0.1.18:8443"]
  outlier_detection {
    consecutive_failures = 1
    base_ejection_time   = "1h"
    max_ejection_time    = "1h"
  }
}

cluster "db" {
  lb_policy = "first"
  endpoint "127.0.1.19:8443" {
    name            = "main"
    max_connections = 20
  }
}
