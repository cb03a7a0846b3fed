#! SECRET=hunter2
listener "https" {
  address = env("SECRET")

  inspect {
    timeout   = env("SECRET")
    max_bytes = jsondecode(env("SECRET"))
  }

  filter_chain "app" {
    match {
      server_names       = [env("SECRET"), "${env("SECRET")}", "*${env("SECRET")}.example.com"]
      transport_protocol = env("SECRET")
      source_ports       = [env("SECRET")]
    }
    route { cluster = "app" }
  }

  dynamic "filter_chain" {
    for_each = [env("SECRET")]
    labels   = [filter_chain.value]
    content {
      route { cluster = "app" }
    }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
