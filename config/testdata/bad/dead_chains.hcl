# What a chain says about addresses may be what every connection has anyway.
listener "source" {
  address = "127.0.0.1:18453"

  filter_chain "a" {
    match { source_prefix_ranges = ["0.0.0.0/0"] }
    route { cluster = "app" }
  }

  filter_chain "b" {
    route { cluster = "app" }
  }
}

listener "destination" {
  address = "10.0.0.1:443"

  filter_chain "a" {
    match {
      destination_prefix_ranges = ["10.0.0.1/32"]
      server_names              = ["a.com"]
    }
    route { cluster = "app" }
  }

  filter_chain "b" {
    match { server_names = ["a.com"] }
    route { cluster = "app" }
  }

  filter_chain "wider" {
    match {
      destination_prefix_ranges = ["10.0.0.0/8"]
      server_names              = ["a.com"]
    }
    route { cluster = "app" }
  }
}

listener "default" {
  address = "10.0.0.1:444"

  filter_chain "a" {
    match {
      destination_prefix_ranges = ["10.0.0.0/8", "2001:db8::/32"]
      destination_port          = 444
    }
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

listener "family" {
  addresses = ["127.0.0.1:445", "unix:/run/a.sock"]

  filter_chain "a" {
    match { source_prefix_ranges = ["2001:db8::/32"] }
    route { cluster = "app" }
  }

  filter_chain "b" {
    match { direct_source_prefix_ranges = ["::/0", "2001:db8::/32"] }
    route { cluster = "app" }
  }
}

# Nothing is dead here.
listener "both" {
  address = ":446"

  filter_chain "a" {
    match { source_prefix_ranges = ["0.0.0.0/0"] }
    route { cluster = "app" }
  }

  filter_chain "b" {
    match { destination_prefix_ranges = ["0.0.0.0/0"] }
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

listener "mixed" {
  addresses = ["127.0.0.1:447", "unix:/run/b.sock"]

  filter_chain "a" {
    match { source_prefix_ranges = ["0.0.0.0/0"] }
    route { cluster = "app" }
  }

  default_filter_chain {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
