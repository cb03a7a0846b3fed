#! -var suffix=example.org
#! -var ports=[8080]
#! -var count=2
#! -var-file values.vars
#! SLUICE_VAR_suffix=example.net
#! SLUICE_VAR_flag=true
#! SLUICE_VAR_unknown=x
#! NAMES=a,b
# Where values come from: -var before -var-file before the environment before
# the default; then locals, functions and files.
variable "suffix" { default = "example.com" }

variable "ports" { type = list(number) }

variable "count" {
  type    = number
  default = 1 + 0
}

variable "flag" { type = bool }

variable "level" { type = string }

variable "names" {
  type    = list(string)
  default = ["x", lower("Y")]
}

variable "any" { default = { key = ["v"] } }

locals {
  third  = "${local.second}-3"
  second = "${local.first}-2"
  first  = "1"
  from   = split(",", env("NAMES"))
  file   = compact(split("\n", file("names.txt")))
}

log { level = var.level }

runtime { workers = var.count }

listener "a" {
  address  = "127.0.0.1:0"
  freebind = var.flag

  filter_chain "names" {
    match {
      server_names = concat(
        [for n in concat(local.from, var.names) : "${n}.${var.suffix}"],
        local.file,
        [local.third, lookup(var.any, "key", ["none"])[0], jsondecode("[\"j.test\"]")[0]],
      )
      source_ports = tolist(var.ports)
    }
    route { cluster = "c0" }
  }

  dynamic "filter_chain" {
    for_each = toset(local.from)
    iterator = it
    labels   = ["dyn-${it.key}"]
    content {
      match {
        server_names = ["${it.value}.dyn.test", "${upper(it.value)}.dyn2.test"]
        source_ports = [tonumber(env("PORT", "77"))]
      }
      route {
        dynamic "weighted_cluster" {
          for_each = range(var.count)
          labels   = ["c${weighted_cluster.value}"]
          content { weight = weighted_cluster.key + 1 }
        }
      }
    }
  }
}

dynamic "cluster" {
  for_each = range(var.count)
  labels   = ["c${cluster.value}"]
  content {
    endpoints = [for p in var.ports : "10.0.0.${cluster.value + 1}:${p}"]
  }
}
