# Behind a header the destination, and on a unix socket any address, is what the
# header says: none of these chains is out of reach.
listener "tcp" {
  address = "127.0.0.1:8443"
  proxy_protocol { trusted = ["127.0.0.0/8"] }

  filter_chain "port" {
    match { destination_port = 443 }
    route { cluster = "one" }
  }

  filter_chain "prefix" {
    match { destination_prefix_ranges = ["192.0.2.0/24"] }
    route { cluster = "one" }
  }
}

listener "unix" {
  address = "unix:/run/x.sock"
  proxy_protocol { trusted = ["unix:"] }

  filter_chain "all" {
    match {
      destination_port          = 443
      destination_prefix_ranges = ["192.0.2.0/24"]
      source_prefix_ranges      = ["10.0.0.0/8"]
      source_ports              = [1]
    }
    route { cluster = "one" }
  }
}

cluster "one" {
  endpoints      = ["[2001:db8::1]:80", "unix:/run/one.sock"]
  source_address = "2001:db8::5"
  proxy_protocol {}
}
