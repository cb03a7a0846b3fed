# One listener, two ways with TLS. Names that have a tls block are terminated
# here, with a certificate; all others are passed through, and the endpoint
# shows its own certificate. Which of the two happens is decided per name,
# before anything was answered.

listener "https" {
  address = ":443"

  # A client that has not said hello after five seconds is turned away. This
  # is the default and stands here to be found.
  inspect { timeout = "5s" }

  # Terminated: the endpoints of "web" get plain bytes.
  filter_chain "web" {
    match { server_names = ["www.example.com", "example.com"] }

    tls {
      certificate {
        cert_file = "pki/www.pem" # relative to this file
        key_file  = "pki/www.key"
      }
      alpn_protocols = ["h2", "http/1.1"]
    }

    route { cluster = "web" }
  }

  # Passed through: every name below example.com at any depth, unless another
  # chain names it more exactly. "*.example.com" is not example.com itself.
  filter_chain "tenants" {
    match { server_names = ["*.example.com"] }
    route { cluster = "tenants" }

    # When no endpoint can be reached, say so in the client's language.
    on_upstream_failure = "tls_alert"
  }

  # Everything else, connections without a name included, hears that the
  # name is unknown.
  on_no_match = "tls_alert"
}

cluster "web" {
  endpoints = ["10.0.1.11:8080", "10.0.1.12:8080"]
}

cluster "tenants" {
  endpoints = ["10.0.2.11:8443", "10.0.2.12:8443"]
}
