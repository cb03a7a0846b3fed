listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "a" }
  }
}

cluster "a" {
  discovery "dsn" { host = "api.internal" }
  discovery "dns" {}
  discovery "dns" { host = "api.internal" }
  discovery "dns" { port = 8443 }
  discovery "dns" {
    host = "_api._tcp.internal"
    port = 8443
    type = "srv"
  }
  discovery "file" {}
  discovery "file" { host = "api.internal" }
  discovery "dns" {
    host = "api.internal"
    port = 8443
    path = "endpoints.json"
  }
}

cluster "b" {
  discovery "dns" {
    host = "api.internal"
    port = 8443
  }
  discovery "dns" {
    host    = "API.internal"
    port    = 8443
    refresh = "20s"
  }
  discovery "file" { path = "endpoints.json" }
  discovery "file" { path = "./endpoints.json" }
  discovery "dns" {
    host      = "10.0.0.1"
    port      = 0
    type      = "aaaa"
    refresh   = "0s"
    min_ttl   = "1h"
    resolvers = ["10.0.0.53", "2001:db8::53", "dns.internal:53", "10.0.0.53:53", "10.0.0.53:53"]
  }
  discovery "dns" {
    host = "https://api.internal"
    port = 8443
  }
  discovery "dns" {
    host = "*.internal"
    port = 8443
  }
}

cluster "c" {
  endpoints = [
    "api.internal:8443",
    "API.internal:8443",
    "api.internal:0",
    "api..internal:80",
    "10.0.0.300:80",
    "api.internal",
    "*.internal:80",
  ]

  endpoint "api.internal:8443" { name = "again" }
  endpoint "db.internal:5432" { name = "db" }
  endpoint "db2.internal:5432" { name = "db" }
}
