#! SLUICE_VAR_poort=8443
#! SLUICE_VAR_somebody_elses=4
variable "port" { default = 443 }

listener "https" {
  address = ":${var.port}"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
