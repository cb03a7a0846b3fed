# Two endpoints that share the load, a third for when neither can be used, and
# what a cluster does about endpoints that fail or have enough.
listener "https" {
  address = ":443"

  filter_chain "app" {
    match { server_names = ["app.example.com"] }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoint "10.0.0.11:8443" { max_connections = 500 }
  endpoint "10.0.0.12:8443" { max_connections = 500 }
  endpoint "10.1.0.11:8443" { priority = 1 } # the other site

  slow_start = "30s" # one that comes back gets its share bit by bit

  outlier_detection {} # five failures in a row: left out for 30 s, then longer

  limits {
    max_connections = 1200
    max_pending     = 100  # so many more may wait for a place,
    queue_timeout   = "2s" # each so long
  }
}
