listener "https" {
  addresses = [":443"]

  filter_chain "a" {
    match {
      server_names         = ["a.example.com", "b.example.com"]
      source_prefix_ranges = ["10.0.0.0/8"]
    }
    route { cluster = "app" }
  }

  filter_chain "b" {
    match {
      server_names         = ["c.example.com", "B.example.com"]
      source_prefix_ranges = ["192.168.0.0/16", "10.0.0.0/8"]
    }
    route { cluster = "app" }
  }

  filter_chain "other-source" {
    match {
      server_names         = ["a.example.com", "b.example.com"]
      source_prefix_ranges = ["10.0.0.0/9"]
    }
    route { cluster = "app" }
  }

  filter_chain "no-source" {
    match {
      server_names = ["a.example.com"]
    }
    route { cluster = "app" }
  }

  filter_chain "long" {
    match { server_names = [for i in range(20) : "m${i}.test"] }
    route { cluster = "app" }
  }

  filter_chain "longer" {
    match { server_names = concat([for i in range(30) : "n${i}.test"], ["m19.test"]) }
    route { cluster = "app" }
  }

  filter_chain "port" {
    match {
      source_ports = [1000, 2000]
    }
    route { cluster = "app" }
  }

  filter_chain "port2" {
    match {
      source_ports = [2000]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
