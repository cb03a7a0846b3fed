locals {
  everywhere = ["10.0.0.0/8", "192.0.2.0/24"]
}

listener "https" {
  address = ":443"

  access {
    allow = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]
    deny  = ["10.1.0.0/16", "192.0.2.0/24"]
  }

  filter_chain "app" {
    access {
      allow = local.everywhere
      deny  = ["192.0.2.0/24"]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
