# Each of these has one mistake in it, and is told one.
variable "unset" {}

variable "misspelt" { defualt = 1 }

variable "a b" { default = 1 }

variable "" { default = 1 }

dynamic "cluster" {
  for_each = ["a"]
  labels   = ["${cluster.value}-${var.unset}"]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

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
