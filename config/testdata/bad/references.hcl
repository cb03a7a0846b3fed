variable "suffix" { default = "example.com" }

locals {
  names = ["a.${var.sufix}"]
  more  = local.name
}

listener "https" {
  address = var.address

  filter_chain "app" {
    match { server_names = concat(local.names, vars.names, [suffix, local.namse]) }
    route { cluster = app }
  }

  dynamic "filter_chain" {
    for_each = concat(local.naems, var["sufix"], keys(local), [var[0]])
    labels   = [filter_chain.value]
    iterator = it
    content {
      match { server_names = [chain.value] }
      route { cluster = it.value }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
