cluster "app" {
  endpoints = [
}
