#! -var cout=3
#! -var count=three
#! -var names=a,b
#! SLUICE_VAR_flag=maybe
variable "env" {}

variable "count" { type = number }

variable "flag" { type = bool }

variable "names" { type = list(string) }

variable "typed" {
  type    = strin
  default = 1
}

variable "wrong" {
  type    = map(number)
  default = { a = "b" }
}

variable "refers" { default = var.env }

variable "my-var" { default = "" }

variable "a.b" { default = "" }

variable "env" {}

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
