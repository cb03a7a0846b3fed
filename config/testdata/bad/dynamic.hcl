dynamic "clutser" {
  for_each = ["a"]
  labels   = [cluster.value]
  content {}
}

dynamic "variable" {
  for_each = ["a"]
  labels   = [variable.value]
  content {}
}

dynamic {
  for_each = ["a"]
  content {}
}

dynamic "cluster" {
  for_each = ["a"]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

dynamic "cluster" {
  for_each = ["a"]
  labels   = [cluster.value]
  endpoints = ["10.0.0.1:1"]
  content {
    endpoint = ["10.0.0.1:1"]
  }
}

dynamic "cluster" {
  for_each = 5
  labels   = [cluster.value]
  content {
    endpoints = ["10.0.0.1:1"]
  }
}

dynamic "cluster" {
  for_each = ["b", "c"]
  labels   = [cluster.value]
  content {
    endpoints = ["${cluster.value}:0"]
  }
}

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}
