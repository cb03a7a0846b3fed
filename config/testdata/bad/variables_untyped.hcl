#! -var weight=3
#! -var names=["a.test"]
#! -var port=eighty
#! -var list=[1
#! -var flag=true
#! SLUICE_VAR_wieght=4
#! SLUICE_VAR_somebody_elses=4
# Without a type a value given as text is a string, unless a default tells more.
variable "weight" {}

variable "names" { default = null }

variable "flag" {}

variable "port" { default = 80 }

variable "list" { default = ["x"] }

access_log { enabled = var.flag }

listener "https" {
  address = ":443"

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
