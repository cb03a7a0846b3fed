listener "https" {
  address = ":443"

  filter_chain "app" {
    route {
      weighted_cluster "port" {}
      weighted_cluster "prefix" {}
      weighted_cluster "name" {}
      weighted_cluster "mapped" {}
      weighted_cluster "any" {}
      weighted_cluster "zone" {}
      weighted_cluster "family" {}
      weighted_cluster "both" {}
    }
  }
}

cluster "port" {
  endpoints      = ["10.0.0.11:8443"]
  source_address = "10.0.0.5:0"
}

cluster "prefix" {
  endpoints      = ["10.0.0.11:8443"]
  source_address = "10.0.0.0/8"
}

cluster "name" {
  endpoints      = ["10.0.0.11:8443"]
  source_address = "eth0"
}

cluster "mapped" {
  endpoints      = ["10.0.0.11:8443"]
  source_address = "::ffff:10.0.0.5"
}

cluster "any" {
  endpoints      = ["10.0.0.11:8443"]
  source_address = "0.0.0.0"
}

cluster "zone" {
  endpoints      = ["[2001:db8::1]:8443"]
  source_address = "fe80::1%eth0"
}

cluster "family" {
  endpoints      = ["10.0.0.11:8443", "[2001:db8::1]:8443"]
  source_address = "10.0.0.5"
}

cluster "both" {
  endpoints          = ["10.0.0.11:8443"]
  source_address     = "10.0.0.5"
  source_transparent = true
}
