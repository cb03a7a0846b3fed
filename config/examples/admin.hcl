# Looking into the running gateway, and telling it what to do. Whoever may connect
# to the socket may do all of it:
#
#   curl -s --unix-socket /run/sluice/admin.sock localhost/connections
#
# An address that other machines reach takes a token and TLS:
#
#   admin {
#     address    = "0.0.0.0:9901"
#     token_file = "admin.token"          # openssl rand -hex 32
#     tls {
#       certificate {
#         cert_file = "pki/gateway.pem"
#         key_file  = "pki/gateway.key"
#       }
#     }
#   }

admin {
  address = "unix:/run/sluice/admin.sock"
  mode    = "0660" # owner and group; group = "operators" gives it to others
}

# For load balancers and Prometheus: /ready, /healthz and /metrics, and no more.
metrics { address = "127.0.0.1:9902" }

listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443", "10.0.0.12:8443"]
}
