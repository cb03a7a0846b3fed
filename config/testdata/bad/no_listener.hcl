cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
