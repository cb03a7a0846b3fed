listener "https" {
  address = ":443"

  filter_chain "app" {
    route {
      weighted_cluster "version" {}
      weighted_cluster "one" {}
      weighted_cluster "words" {}
    }
  }
}

cluster "version" {
  endpoints = ["10.0.0.11:8443"]

  proxy_protocol { version = 3 }
}

cluster "one" {
  endpoints = ["10.0.0.11:8443"]

  proxy_protocol {
    version           = 1
    tlvs              = ["authority"]
    pass_through_tlvs = true
  }
}

cluster "words" {
  endpoints = ["10.0.0.11:8443"]

  proxy_protocol {
    tlvs              = ["autority", "netns", "ssl", "ssl"]
    pass_through_tlvs = "yes"
  }
}
