listener "a" {
  address = "127.0.0.1:0"

  default_filter_chain {
    route { cluster = local.cluster }
  }
}
