# Clients must show a certificate. Who may in is decided by the CA that signed
# it, by the revocation list, and by the names in it; a connection that was
# resumed is judged again.

listener "https" {
  address = ":8443"

  filter_chain "billing" {
    match { server_names = ["billing.example.com"] }

    tls {
      # Two certificates for one name: ECDSA for the clients that can, RSA
      # for the others.
      certificate {
        cert_file = "pki/billing-ecdsa.pem"
        key_file  = "pki/billing-ecdsa.key"
      }
      certificate {
        cert_file = "pki/billing-rsa.pem"
        key_file  = "pki/billing-rsa.key"
      }

      min_version = "1.3"

      client_auth {
        mode     = "require" # or optional: none is fine, a bad one is refused
        ca_file  = "pki/clients-ca.pem"
        crl_file = "pki/clients.crl"

        # Without this list every certificate that the CA signed is good.
        allowed_sans = ["spiffe://prod/billing", "*.clients.example.com"]
      }

      # Instances behind one address share these files (openssl rand -hex 32),
      # so that a client may resume at any of them. The first encrypts, the
      # others still decrypt.
      session_tickets {
        key_files = ["pki/ticket-new.key", "pki/ticket-old.key"]
      }
    }

    route { cluster = "billing" }
  }
}

cluster "billing" {
  endpoints = ["10.0.0.41:8080", "10.0.0.42:8080"]
}
