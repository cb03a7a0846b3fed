dynamic "cluster" {
  for_each = ["a"]
  labels   = [cluster.value]
  contents {
    endpoints = ["10.0.0.1:80"]
  }
}

listener "a" {
  address = ":443"

  filter_chain "c" {
    route { cluster = "a" }
  }
}
