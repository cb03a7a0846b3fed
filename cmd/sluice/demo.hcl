# What "sluice demo" runs: one port on which a connection is sent on by the name
# that its client asks for. The demo starts the backends and makes the
# certificates, and gives their ports and directory as variables.

variable "ports" {
  type = map(number)
}

variable "certificates" {
  type = string
}

log {
  level = "warn"
}

# Where "sluice proxy-config" and a browser look inside, on a free port.
admin {
  address = "127.0.0.1:0"
}

listener "demo" {
  address = "127.0.0.1:0"

  # Passed through: the backends have the certificate, the gateway has no key.
  filter_chain "shop" {
    match { server_names = ["shop.test"] }
    route { cluster = "shop" }
  }

  # Terminated: the gateway has the certificate, the backend speaks plain HTTP.
  filter_chain "api" {
    match { server_names = ["api.test"] }
    tls {
      certificate {
        cert_file = "${var.certificates}/gateway.pem"
        key_file  = "${var.certificates}/gateway.key"
      }
    }
    route { cluster = "api" }
  }

  # A wildcard holds at any depth, but not for apps.test itself.
  filter_chain "apps" {
    match { server_names = ["*.apps.test"] }
    route { cluster = "apps" }
  }

  # Of four connections one goes to the new version.
  filter_chain "www" {
    match { server_names = ["www.test"] }
    route {
      weighted_cluster "stable" { weight = 3 }
      weighted_cluster "canary" { weight = 1 }
    }
  }

  # Any other name is refused.
  on_no_match = "reset"
}

locals {
  clusters = {
    shop   = ["shop-1", "shop-2"]
    api    = ["api-1"]
    apps   = ["apps-1"]
    stable = ["stable-1"]
    canary = ["canary-1"]
  }
}

dynamic "cluster" {
  for_each = local.clusters
  labels   = [cluster.key]
  content {
    dynamic "endpoint" {
      for_each = cluster.value
      labels   = ["127.0.0.1:${var.ports[endpoint.value]}"]
      content {
        name = endpoint.value
      }
    }
  }
}
