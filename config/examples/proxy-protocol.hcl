# Behind a load balancer that passes TCP on and says with a header for whom.
listener "https" {
  address = ":443"

  proxy_protocol {
    mode    = "require"
    trusted = ["10.0.0.0/8"]
  }

  # The client's address, not the load balancer's.
  filter_chain "office" {
    match {
      server_names         = ["app.example.com"]
      source_prefix_ranges = ["192.0.2.0/24"]
    }
    route { cluster = "internal" }
  }

  filter_chain "others" {
    match { server_names = ["app.example.com"] }
    route { cluster = "public" }
  }
}

# These want to know it, too: "accept-proxy" in HAProxy, "proxy_protocol" in nginx.
cluster "internal" {
  endpoints = ["10.0.1.11:8443"]

  proxy_protocol {
    version           = 2
    tlvs              = ["authority", "unique_id", "crc32c"]
    pass_through_tlvs = true
  }
}

# These let in only one address of this machine.
cluster "public" {
  endpoints      = ["10.0.2.11:8443"]
  source_address = "10.0.0.5"
}
