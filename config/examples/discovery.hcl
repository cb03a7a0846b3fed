# Endpoints that are found rather than written down, and checked. The gateway
# starts whether or not anything of this can be found yet.
listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }

  filter_chain "api" {
    match { server_names = ["api.example.com"] }
    route { cluster = "api" }
  }
}

listener "postgres" {
  address = ":5432"

  default_filter_chain {
    route { cluster = "postgres" }
  }
}

# By name: all addresses that DNS gives, asked for again after their TTL.
cluster "app" {
  endpoints = ["app.internal:8443"]

  health_check { type = "tls" } # a handshake, every 5 s

  on_endpoint_unhealthy = "close" # so that its clients connect anew, elsewhere
}

# By service: SRV records say ports, weights and priorities.
cluster "api" {
  discovery "dns" {
    host      = "_api._tcp.internal"
    type      = "srv"
    refresh   = "30s"            # at the latest; a shorter TTL is respected
    resolvers = ["10.0.0.53:53"] # rather than the system's
  }

  health_check {
    type     = "http"
    path     = "/healthz"
    port     = 8080
    interval = "10s"
  }
}

# By file, which is read again when it changes:
# {"endpoints": [{"address": "10.0.0.21:5432"}, {"address": "10.0.0.22:5432", "priority": 1}]}
cluster "postgres" {
  discovery "file" { path = "/etc/sluice/postgres.json" }

  health_check {
    send   = "hex:00 00 00 08 04 d2 16 2f" # SSLRequest
    expect = "S"
  }

  on_endpoint_removed = "keep" # no transaction is cut; connections end by themselves
}
