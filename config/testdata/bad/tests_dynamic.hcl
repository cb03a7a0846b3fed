listener "https" {
  address = ":443"

  default_filter_chain {
    route { cluster = "api" }
  }
}

cluster "api" { endpoints = ["10.0.0.1:443"] }

dynamic "test" {
  for_each = ["a"]
  labels   = [test.value]
  content {}
}
