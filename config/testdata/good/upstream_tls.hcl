# TLS to endpoints: where nobody has to name them, and where the cluster does.
listener "https" {
  address = ":443"

  filter_chain "encrypted-again" {
    match { server_names = ["app.example.com"] }

    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
    }
    route {
      weighted_cluster "by-sni" {}
      weighted_cluster "by-address" {}
      weighted_cluster "unverified" {}
    }
  }
  filter_chain "encrypted-here" {
    match { transport_protocol = "raw_buffer" }

    route {
      weighted_cluster "by-address" {}
      weighted_cluster "unverified" {}
      weighted_cluster "by-name" {}
    }
  }
}

# A server that speaks first is heard at once, so the hello must not be needed.
listener "imap" {
  address = ":143"

  default_filter_chain {
    route { cluster = "by-name" }
  }
}

cluster "by-sni" {
  endpoints = ["10.0.0.1:443"]

  tls { ca_file = "pki/ca.pem" }
}

cluster "by-name" {
  endpoints = ["10.0.0.1:993"]

  tls {
    server_name = "Mail.Example.com."
    ca_file     = "pki/ca.pem"
  }
}

cluster "by-address" {
  endpoints = ["[2001:db8::1]:443"]

  tls {
    server_name = "2001:DB8::1"
    ca_file     = "pki/ca.pem"
  }
}

cluster "unverified" {
  endpoints = ["10.0.0.1:443"]

  tls { insecure_skip_verify = true }
}
