listener "https" {
  address = ":443"

  filter_chain "app" {
    match {
      ja4 = [
        "",
        "t13d1516h2_*",
        "t13d1516h2",
        "t13d1516h2_002f,0035,009c_0005,000a,000b_0403,0804",
        "t13d1516h2_8DAAF6152771_E5627EFA2AB1",
        "q13d0312h3_55b375c5d22e_06cda9e17597",
        "t130200_1301_234ea6891581",
        "e7d705a3286e19ea42f587b344ee6865",
        "chrome",
        "t13d1516h2_8daaf6152771_e5627efa2ab1",
        "t13d1516h2_8daaf6152771_e5627efa2ab1",
      ]
    }
    route { cluster = "app" }
  }

  filter_chain "one" {
    match { ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1" }
    route { cluster = "app" }
  }
}

cluster "app" {
  endpoints = ["10.0.0.11:8443"]
}
