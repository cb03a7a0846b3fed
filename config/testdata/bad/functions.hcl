locals {
  upper = uper("x")
  few   = join(",")
  bad   = jsondecode("{")
  none  = file("pki/none.txt")
  dir   = file("pki")
  env   = env("SLUICE_TEST_UNSET")
  fine  = env("SLUICE_TEST_UNSET", "x")
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
