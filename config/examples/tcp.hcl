# Plain TCP, by port. No chain here looks at the bytes, so none are waited for:
# protocols in which the server speaks first, such as MySQL and SMTP, work.

log { level = "info" }

access_log {
  path = "/var/log/sluice/access.log"

  # These connections are long: write a record when one has its endpoint, and
  # then every ten minutes, not only at its end.
  types    = ["connected", "periodic", "end"]
  interval = "10m"
}

runtime { drain_timeout = "1h" }

listener "databases" {
  addresses = ["192.0.2.10:3306", "192.0.2.10:5432"]

  filter_chain "mysql" {
    match { destination_port = 3306 }

    route {
      cluster      = "mysql"
      idle_timeout = "0s" # none: clients keep their pools for days
    }
  }

  filter_chain "postgres" {
    match { destination_port = 5432 }

    route {
      cluster                            = "postgres"
      idle_timeout                       = "8h"
      half_close_timeout                 = "1m"
      max_downstream_connection_duration = "24h"
    }
  }

  # A peer that vanished without a word is noticed by keep-alive.
  tcp_keepalive {
    idle     = "30s"
    interval = "10s"
    probes   = 3
  }
}

# A unix socket can be listened on and connected to.
listener "local" {
  address = "unix:/run/sluice/mysql.sock"

  default_filter_chain {
    route { cluster = "mysql" }
  }
}

cluster "mysql" {
  endpoints = ["10.0.0.31:3306", "10.0.0.32:3306"]
}

cluster "postgres" {
  endpoints = ["unix:/run/postgresql/.s.PGSQL.5432"]
}
