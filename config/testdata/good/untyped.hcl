#! -var weight=3
#! -var names=["a.test","b.test"]
#! SLUICE_VAR_enabled=false
variable "weight" { default = 1 }

variable "names" { default = ["x.test"] }

variable "enabled" { default = true }

access_log { enabled = var.enabled }

listener "https" {
  address          = ":443"
  tcp_user_timeout = "2147483647ms"

  filter_chain "app" {
    match { server_names = var.names }
    route {
      weighted_cluster "app" { weight = var.weight }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
