log { format = "json" }

access_log {}

locals { a = 1 }

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
