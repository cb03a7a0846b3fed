#! ADDRESS=10.20.30.40:5566
#! PORT=7788
#! NAME=hunter2.example.com
#! FILE=pki/hunter2.pem
# No value of the environment may stand in what the checks over several blocks
# say.
listener "a" {
  addresses = [env("ADDRESS")]

  filter_chain "a" {
    match {
      server_names     = [env("NAME")]
      destination_port = tonumber(env("PORT"))
    }
    route { cluster = env("NAME") }
  }

  filter_chain "prefix" {
    match { destination_prefix_ranges = ["192.0.2.0/24"] }
    route { cluster = "c" }
  }
}

listener "b" {
  address = env("ADDRESS")

  filter_chain "a" {
    match { server_names = [env("NAME")] }
    route { cluster = "c" }
    tls {
      certificate {
        cert_file = "pki/app.pem"
        key_file  = "pki/app.key"
      }
    }
  }

  filter_chain "b" {
    match { server_names = [env("NAME")] }
    route { cluster = "c" }
    tls {
      certificate {
        cert_file = env("FILE")
        key_file  = env("FILE")
      }
    }
  }
}

cluster "c" {
  endpoints = [env("ADDRESS"), env("ADDRESS")]

  endpoint "10.0.0.1:1" { name = env("NAME") }
  endpoint "10.0.0.2:1" { name = env("NAME") }
}
