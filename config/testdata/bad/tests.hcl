listener "https" {
  address = ":443"

  filter_chain "api" {
    match { server_names = ["api.example.com"] }
    route { cluster = "api" }
  }
}

listener "plain" {
  address = ":80"

  default_filter_chain {
    route { cluster = "web" }
  }
}

cluster "api" { endpoints = ["10.0.0.1:443"] }
cluster "web" { endpoints = ["10.0.0.2:80"] }

test "unknown listener" {
  given { listener = "htps" }
  expect { outcome = "reset" }
}

test "which listener" {
  given { server_name = "api.example.com" }
  expect { filter_chain = "api" }
}

test "unknown chain" {
  given { listener = "https" }
  expect {
    filter_chain = "ap"
    clusters     = ["we", "something"]
  }
}

test "unknown default chain" {
  given { listener = "https" }
  expect { filter_chain = "default" }
}

test "unknown words" {
  given { transport_protocol = "tcp" }
  expect {
    outcome = "fowrard"
    tls     = "ended"
  }
}

test "nothing expected" {
  given { listener = "https" }
  expect {}
}

test "nothing in a list" {
  given { listener = "https" }
  expect { clusters = [] }
}

test "neither" {}

test "values" {
  given {
    listener      = "https"
    server_name   = "*.example.com"
    source        = "10.9.0"
    direct_source = "fe80::1%eth0"
    destination   = "192.0.2.1"
  }
  expect { outcome = "forward" }
}

test "another" {
  given {
    transport_protocol = "raw_buffer"
    server_name        = ""
  }
  expect { outcome = "forward" }
}

test "impossible" {
  given {
    transport_protocol = "raw_buffer"
    server_name        = "api.example.com"
  }
  expect { outcome = "forward" }
}

test "impossible" {
  given { listener = "https" }
  expect { outcome = "forward" }
}

test "" {
  given { listener = "https" }
  expect { outcome = "forward" }
  expect { outcome = "nothing" }
}
