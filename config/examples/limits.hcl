# Who may connect, how many, and how fast. A connection above a limit is reset
# at once and has its reason in the access record. There is no limit by default,
# but for the descriptors that the process may have.

runtime {
  max_connections = 100000
}

listener "https" {
  address         = ":8443"
  max_connections = 50000

  # Of all new connections together: what comes back at once after a network
  # was away would otherwise take the endpoints down.
  accept_limit {
    rate  = 2000 # per second
    burst = 5000
  }

  # Of each IPv4 address, and of each /64 of IPv6.
  per_source {
    max_connections = 100
    rate            = 20
    burst           = 40
  }

  # deny comes after allow, which is empty: everybody but these.
  access { deny = ["203.0.113.0/24", "2001:db8:bad::/48"] }

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }

  # The chain takes the connections for this name, and lets only the office in.
  filter_chain "internal" {
    match { server_names = ["internal.example.com"] }
    access { allow = ["192.0.2.0/24"] }
    route { cluster = "internal" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443", "10.0.0.12:8443"]
}

cluster "internal" {
  endpoints = ["10.0.0.21:8443"]
}
