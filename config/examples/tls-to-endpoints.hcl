# TLS on the way to the endpoints. They are verified unless it is said that they
# are not, and one that does not show the right certificate gets no byte of a
# client's: the next one is tried.

listener "https" {
  address = ":443"

  # Decrypted here and encrypted again. (Without the chain's tls block the
  # client's own TLS would be passed through, and the cluster must not have one.)
  filter_chain "shop" {
    match { server_names = ["shop.example.com", "www.shop.example.com"] }

    tls {
      certificate {
        cert_file = "pki/shop.pem"
        key_file  = "pki/shop.key"
      }
      alpn_protocols = ["http/1.1"]
    }
    route { cluster = "shop" }
  }
}

# For programs on this machine that speak no TLS. A cluster with a server_name
# needs nothing of the client, so a server that speaks first is heard at once.
listener "imap" {
  address = "127.0.0.1:143"

  default_filter_chain {
    route { cluster = "imap" }
  }
}

cluster "shop" {
  endpoints = ["10.0.0.51:8443", "10.0.0.52:8443"]

  # This is over the connection and the handshake, for each attempt.
  connect_timeout = "2s"

  tls {
    # Without server_name the endpoint is asked for the name that the client
    # asked for.
    ca_file = "pki/internal-ca.pem" # default: the CAs of this machine

    # What endpoints are offered. When the client and the chain agreed on one of
    # these it is the only one: the endpoint must speak what the client speaks.
    alpn_protocols = ["http/1.1"]

    # For endpoints that ask who the gateway is.
    certificate {
      cert_file = "pki/gateway.pem"
      key_file  = "pki/gateway.key"
    }
  }
}

cluster "imap" {
  endpoints = ["192.0.2.25:993"]

  tls {
    server_name = "imap.example.com"
    ca_file     = "pki/internal-ca.pem"
  }
}
