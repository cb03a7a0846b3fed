# A directory is one configuration; its *.hcl files are read in the order of
# their names, and the order has no other meaning.

# sluice run -c variables-and-dynamic -var domain=example.org
# or SLUICE_VAR_domain=example.org, or -var-file=production.vars
variable "domain" {
  type    = string
  default = "example.com"
}

variable "tenants" {
  type = map(list(string)) # name of a tenant -> its endpoints
  default = {
    blue  = ["10.0.1.11:8443", "10.0.1.12:8443"]
    green = ["10.0.2.11:8443"]
  }
}

# Locals are names for expressions; they may use variables and each other.
locals {
  # One name a line, in a file beside this one. A list of 100,000 is no matter.
  parked = compact(split("\n", file("parked-names.txt")))

  # env() reads the environment; what it gives is never shown.
  address = env("GATEWAY_ADDRESS", "0.0.0.0:443")
}
