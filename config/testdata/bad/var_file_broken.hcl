#! -var-file pki/broken.txt
# What a file for -var-file would have said is unknown, and nothing is said
# about what depends on it.
variable "address" { type = string }

listener "a" {
  address = var.address

  filter_chain "c" {
    route { cluster = "c" }
  }
}

cluster "c" {
  endpoints = ["10.0.0.1:80"]
}
