listener "https" {
  address = local.address

  # One chain for each tenant: in content, filter_chain.key is its name and
  # filter_chain.value its endpoints.
  dynamic "filter_chain" {
    for_each = var.tenants
    labels   = [filter_chain.key]
    content {
      match {
        server_names = [
          "${filter_chain.key}.${var.domain}",
          "*.${filter_chain.key}.${var.domain}",
        ]
      }
      route { cluster = "tenant-${filter_chain.key}" }
    }
  }

  filter_chain "parked" {
    match { server_names = local.parked }
    route { cluster = "parking" }
  }
}
