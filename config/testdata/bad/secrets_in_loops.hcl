#! SECRET=hunter2,topsecret,hunter2
#! NAMES=tenant-hunter2,tenant-hunter2
# The elements of a secret list are secret, whatever goes through them.
locals {
  parts   = split(",", env("SECRET"))
  keys    = { for k in local.parts : k => 1 }
  nested  = [for n in ["SECRET"] : [for k in split(",", env(n)) : tonumber(k)]]
  missing = [for n in ["NOT_SET"] : env(n)]
  picked  = [for m in [{ p = env("SECRET") }] : [for k in split(",", m.p) : tobool(k)]]
}

access_log {
  types = [for s in split(",", env("SECRET")) : tonumber(s)]
}

listener "https" {
  address = { for k in split(",", env("SECRET")) : k => 1 }

  filter_chain "app" {
    match {
      server_names              = [for k in local.parts : file(k)]
      application_protocols     = [for k in split(",", env("SECRET")) : env(k)]
      source_prefix_ranges      = [[for k in local.parts : tonumber(k)][0]]
      destination_prefix_ranges = [for k in ["a"] : tonumber(k)]
    }
    route {
      dynamic "weighted_cluster" {
        for_each = local.parts
        labels   = [weighted_cluster.value]
        content {
          weight = tonumber(weighted_cluster.value)
        }
      }
    }
  }

  dynamic "filter_chain" {
    for_each = split(",", env("NAMES"))
    labels   = [filter_chain.value]
    content {
      match {
        server_names = [filter_chain.value, tonumber(filter_chain.value)]
        source_ports = [for k in [filter_chain.value] : tonumber(k)]
      }
      route { cluster = filter_chain.value }
    }
  }
}

cluster "app" {
  dynamic "endpoint" {
    for_each = local.parts
    labels   = [endpoint.value]
    content {
      name = tonumber(endpoint.value)
    }
  }
}

dynamic "cluster" {
  for_each = { for k in distinct(split(",", env("NAMES"))) : upper(k) => [k] }
  labels   = [lower(cluster.key)]
  content {
    endpoints       = [cluster.value[0]]
    connect_timeout = cluster.key

    dynamic "endpoint" {
      for_each = cluster.value
      labels   = [endpoint.value]
      content {
        name = tonumber(cluster.key)
      }
    }
  }
}

dynamic "cluster" {
  for_each = local.parts
  labels   = [tonumber(cluster.value)]
  content {}
}

dynamic "cluster" {
  for_each = [for k in local.parts : tonumber(k)]
  labels   = [cluster.value]
  content {}
}
