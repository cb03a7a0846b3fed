dynamic "cluster" "x" {
  for_each = ["a"]
  labels   = [cluster.value]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

dynamic "cluster" {
  for_each = ["a"]
  iterator = "item"
  labels   = [item.value]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

cluster "b" {
  endpoint = ["127.0.0.1:1"]
}

cluster "c" {
  endpoint = {}
}

log = "debug"

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
