dynamic "cluster" {
  for_each = var.tenants
  iterator = tenant # instead of cluster.key and cluster.value
  labels   = ["tenant-${tenant.key}"]
  content {
    endpoints = tenant.value
  }
}

cluster "parking" {
  endpoints = ["10.0.9.1:8443"]
}
