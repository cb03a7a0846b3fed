#! SECRET=hunter2
dynamic "cluster" {
  for_each = ["", "two words", "tab\there", "good"]
  labels   = [cluster.value]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

dynamic "cluster" {
  for_each = split(",", "${env("SECRET")} x")
  labels   = [cluster.value]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

cluster "parts" {
  dynamic "endpoint" {
    for_each = ["", "10.0.0.1:1"]
    labels   = [endpoint.value]
    content {}
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
