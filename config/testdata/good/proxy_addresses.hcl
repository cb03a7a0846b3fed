# A PROXY header can bring addresses of either family and any port, whatever the
# listener has itself: none of these chains is dead.
listener "behind" {
  address = "10.0.0.1:443"

  proxy_protocol {
    trusted = ["10.0.0.0/8"]
  }

  filter_chain "v4" {
    match { source_prefix_ranges = ["0.0.0.0/0"] }
    route { cluster = "app" }
  }

  filter_chain "v6" {
    match { source_prefix_ranges = ["2001:db8::/32"] }
    route { cluster = "app" }
  }

  filter_chain "here" {
    match { destination_prefix_ranges = ["10.0.0.1/32"] }
    route { cluster = "app" }
  }

  filter_chain "port" {
    match { destination_port = 8443 }
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.2:443"]
}
