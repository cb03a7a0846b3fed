listener "https" {
  address = ":443"

  filter_chain "app" {
    match {
      server_names = [
        "*",
        "a*.example.com",
        "www.*.example.com",
        "192.0.2.1",
        "[2001:db8::1]:443",
        "www.example.com:443",
        "https://www.example.com/login",
        "www.example.com/login",
        "",
        "bücher.example",
        "a..example.com",
        ".example.com",
        "my app.example.com",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example.com",
        "App.Example.com.",
        "app.example.com",
      ]
    }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
