listener {
  address = ":443"
}

listener "a" "b" {
  address = ":444"
}

log "x" {}

cluster "" {}

cluster "my app" {}

cluster "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" {}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
