listener "https" {
  addresses = [
    "443",
    "10.0.0.1",
    "::1",
    "::1:443",
    "2001:db8::1",
    "[::1]",
    "[fe80::1%lo]:18453",
    "[fe80::1%lo]",
    "[::1:443",
    "[10.0.0.1]:443",
    "*:443",
    "localhost:443",
    "www.example.com:443",
    "10.0.0.1:https",
    "10.0.0.1:70000",
    "tcp://10.0.0.1:443",
    "[::ffff:10.0.0.1]:443",
    "unix:",
    "unix:@sluice",
    "unix:/run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.sock",
    "www",
    "",
  ]

  filter_chain "app" {
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
