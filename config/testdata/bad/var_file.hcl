#! -var-file pki/vars.txt
variable "env" { type = string }

variable "ports" { type = list(number) }

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
