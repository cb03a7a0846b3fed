# Every attribute of the format, each with a value that is not its default.
log {
  level  = "debug"
  format = "json"
}

access_log {
  enabled  = false
  path     = "logs/access.log"
  types    = ["start", "connected", "periodic"]
  interval = "30s"
}

runtime {
  workers         = 3
  splice          = "off"
  max_connections = 100000
  watch           = true
  drain_timeout   = "1m30s"
  readiness_delay = "5s"
  pid_file        = "run/sluice.pid"
}

admin {
  enabled    = true
  address    = "0.0.0.0:9903"
  token_file = "pki/admin.token"

  tls {
    certificate {
      cert_file = "pki/app.pem"
      key_file  = "pki/app.key"
    }
  }
}

metrics { address = ":9904" }

listener "everything" {
  addresses        = ["192.0.2.1:443", "[2001:db8::1]:8443", "unix:run/x.sock", "127.0.0.1:0"]
  freebind         = true
  backlog          = 1024
  tcp_user_timeout = "1m"
  max_connections  = 5000

  tcp_keepalive {
    enabled  = false
    idle     = "2m"
    interval = "30s"
    probes   = 2
  }

  inspect {
    timeout   = "0s"
    max_bytes = "64KiB"
  }

  accept_limit {
    rate  = 1000
    burst = 2000
  }

  per_source {
    max_connections = 100
    rate            = 0.5
    burst           = 40
  }

  access {
    allow = ["192.0.2.0/24", "2001:db8::/32"]
    deny  = ["192.0.2.7/32"]
  }

  proxy_protocol {
    mode    = "optional"
    trusted = ["10.0.0.0/8", "unix:", "2001:db8::/32"]
  }

  filter_chain "passed" {
    match {
      server_names                = ["App.Example.COM.", "*.B.example.com"]
      application_protocols       = ["h2", "http/1.1"]
      transport_protocol          = "tls"
      destination_port            = 443
      destination_prefix_ranges   = ["192.0.2.0/24", "::/0"]
      source_prefix_ranges        = ["10.0.0.0/8"]
      direct_source_prefix_ranges = ["10.1.0.0/16"]
      source_ports                = [1000, 2000]
      ja4                         = ["t13d1516h2_8daaf6152771_e5627efa2ab1", "t13d1312h2_f57a46bbacb6_ab7e3b40a677"]
    }

    route {
      weighted_cluster "a" {}
      weighted_cluster "b" { weight = 9 }
      weighted_cluster "sticky" {}
      weighted_cluster "limited" {}
      hash_on                            = "server_name"
      idle_timeout                       = "0s"
      half_close_timeout                 = "1s"
      max_downstream_connection_duration = "24h"
    }
    on_upstream_failure = "tls_alert"

    access {
      allow = ["10.1.0.0/16"]
      deny  = ["10.1.2.0/24"]
    }
  }

  filter_chain "terminated" {
    match { server_names = ["app.example.com", "*.example.com"] }

    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
      certificate {
        cert_file = "pki/other.pem"
        key_file  = "pki/other.key"
      }
      min_version    = "1.2"
      max_version    = "1.2"
      cipher_suites  = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
      ecdh_curves    = ["X25519", "P-256"]
      alpn_protocols = ["http/1.1"]

      client_auth {
        mode         = "optional"
        ca_file      = "pki/ca.pem"
        crl_file     = "pki/ca.crl"
        allowed_sans = ["spiffe://prod/billing", "*.clients.example.com"]
      }
      session_tickets { key_files = ["pki/ticket.key"] }
    }
    route {
      weighted_cluster "a" {}
      weighted_cluster "encrypted" {}
      weighted_cluster "unverified" {}
    }
    on_upstream_failure = "close"
  }

  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "b" }
  }

  default_filter_chain {
    access {
      allow = ["10.0.0.0/8"]
      deny  = ["10.9.0.0/16"]
    }

    route {
      weighted_cluster "b" { weight = 2 }
      weighted_cluster "c" { weight = 1 }
      hash_on                            = "source_ip"
      idle_timeout                       = "1s"
      half_close_timeout                 = "2s"
      max_downstream_connection_duration = "3s"
    }
  }
}

listener "plain" {
  address     = ":80"
  on_no_match = "close"
  on_change   = "drain"

  filter_chain "raw" {
    match { transport_protocol = "raw_buffer" }
    on_change = "close"
    route { cluster = "b" }
  }

  filter_chain "discovered" {
    match { transport_protocol = "tls" }
    route {
      weighted_cluster "checked" {}
      weighted_cluster "asked" {}
      weighted_cluster "found" {}
    }
  }
}

cluster "a" {
  lb_policy            = "least_connections"
  connect_timeout      = "1s"
  max_connect_attempts = 1
  endpoints            = ["10.0.0.1:80", "[::1]:80"]

  endpoint "unix:run/a.sock" {
    name   = "local"
    weight = 5
  }

  tcp_keepalive {
    enabled  = true
    idle     = "3s"
    interval = "4s"
    probes   = 9
  }
}

cluster "b" {
  endpoints          = ["10.0.0.1:80"]
  source_address     = "10.0.0.5"
  source_transparent = false

  proxy_protocol {
    version           = 2
    tlvs              = ["authority", "alpn", "unique_id", "ssl", "crc32c"]
    pass_through_tlvs = true
  }
}

cluster "c" {
  endpoints          = ["10.0.0.1:80", "unix:run/a.sock"]
  source_transparent = true

  proxy_protocol { version = 1 }
}

cluster "sticky" {
  lb_policy = "maglev"
  hash_on   = "server_name"
  endpoints = ["10.0.0.1:80"]
}

cluster "limited" {
  lb_policy         = "round_robin"
  slow_start        = "20s"
  panic_threshold   = 40
  retry_early_reset = false
  endpoints         = ["10.0.0.1:80"]

  endpoint "10.0.0.2:80" {
    priority        = 2
    max_connections = 100
  }

  limits {
    max_connections = 1000
    max_pending     = 50
    queue_timeout   = "3s"
  }

  outlier_detection {
    consecutive_failures = 3
    base_ejection_time   = "10s"
    max_ejection_time    = "1m"
    max_ejection_percent = 20
  }
}

cluster "checked" {
  endpoints             = ["10.0.0.1:80"]
  on_endpoint_unhealthy = "close"
  on_endpoint_removed   = "keep"

  health_check {
    type                = "http"
    interval            = "10s"
    timeout             = "4s"
    jitter              = "20%"
    healthy_threshold   = 1
    unhealthy_threshold = 4
    path                = "/ready?deep=1"
    host                = "Checked.example.com."
    expected_statuses   = ["200-299", "401", 403]
    port                = 8080
  }
}

cluster "asked" {
  endpoints = ["10.0.0.1:6379"]

  health_check {
    type   = "tcp"
    send   = "PING"
    expect = "hex:2b 50 4f4e47"
  }
}

cluster "found" {
  on_endpoint_unhealthy = "keep"
  on_endpoint_removed   = "close"
  endpoints             = ["10.0.0.1:80", "Web.internal:8080"]

  endpoint "db.internal:5432" {
    name            = "db"
    weight          = 3
    priority        = 1
    max_connections = 7
  }

  discovery "dns" {
    host      = "api.internal"
    port      = 8443
    type      = "a"
    refresh   = "30s"
    min_ttl   = "5s"
    resolvers = ["10.0.0.53:53", "[2001:db8::53]:5353"]
  }

  discovery "dns" {
    host = "_api._tcp.internal."
    type = "srv"
  }

  discovery "file" { path = "run/endpoints.json" }
}

cluster "encrypted" {
  endpoints = ["10.0.0.1:443"]

  tls {
    server_name    = "api.internal"
    ca_file        = "pki/ca.pem"
    alpn_protocols = ["h2"]

    certificate {
      cert_file = "pki/client.pem"
      key_file  = "pki/client.key"
    }
  }
}

cluster "unverified" {
  endpoints = ["10.0.0.1:443"]

  tls { insecure_skip_verify = true }
}

test "a client of the office gets to the right place" {
  given {
    listener              = "everything"
    transport_protocol    = "tls"
    server_name           = "App.Example.COM."
    application_protocols = ["h2", "http/1.1"]
    ja4                   = "t13d1516h2_8daaf6152771_e5627efa2ab1"
    source                = "10.1.2.3:1000"
    direct_source         = "10.1.0.1"
    destination           = "192.0.2.1:443"
  }
  expect {
    outcome      = "forward"
    filter_chain = "passed"
    clusters     = ["a", "b"]
    tls          = "passthrough"
  }
}
