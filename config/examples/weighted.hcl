# A canary: five of a hundred connections for api.example.com go to the new
# version, and all that come from the office do. The more specific chain wins,
# wherever it stands in the file.

listener "https" {
  address = ":443"

  filter_chain "api" {
    match { server_names = ["api.example.com"] }

    route {
      # The choice is made once per connection.
      weighted_cluster "api" { weight = 95 }
      weighted_cluster "api-canary" { weight = 5 }
    }
  }

  filter_chain "api-office" {
    match {
      server_names         = ["api.example.com"]
      source_prefix_ranges = ["198.51.100.0/24"]
    }
    route { cluster = "api-canary" }
  }
}

cluster "api" {
  # Short form for endpoints of equal weight ...
  endpoints = ["10.0.0.11:8443", "10.0.0.12:8443"]

  # ... and the long one: this machine takes three times as much.
  endpoint "10.0.0.13:8443" {
    name   = "large"
    weight = 3
  }
}

cluster "api-canary" {
  endpoints = ["10.0.0.21:8443"]

  # There is one endpoint to try, so do not wait long for it.
  connect_timeout      = "1s"
  max_connect_attempts = 1
}

# What the chains are to do, checked by "sluice validate" and "sluice test".
test "the office gets the new version" {
  given {
    server_name = "api.example.com"
    source      = "198.51.100.7"
  }
  expect {
    filter_chain = "api-office"
    clusters     = ["api-canary"]
  }
}

test "everybody else gets either" {
  given { server_name = "api.example.com" }
  expect { clusters = ["api", "api-canary"] }
}
