listener "https" {
  address = ":443
}
