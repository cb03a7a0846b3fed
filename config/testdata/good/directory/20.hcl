locals { cluster = "c" }

cluster "c" {
  endpoints = ["unix:c.sock"]
}
