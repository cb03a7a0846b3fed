variable "names" { type = list(string) }

locals {
  upper  = [for n in var.names : upper(n)]
  broken = local.upper[0].x.y
}

listener "https" {
  address = var.names[0]

  filter_chain "app" {
    match { server_names = local.upper }
    route { cluster = local.broken }
  }

  dynamic "filter_chain" {
    for_each = local.upper
    labels   = [filter_chain.value]
    content {
      match { server_names = [filter_chain.value] }
      route { cluster = "app" }
    }
  }
}

dynamic "cluster" {
  for_each = var.names
  labels   = [cluster.value]
  content {
    endpoints = [cluster.value]
  }
}
