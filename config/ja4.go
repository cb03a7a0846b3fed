package config

import "sluice/tlsutil/clienthello"

const kindJA4 = `a JA4 fingerprint such as "t13d1516h2_8daaf6152771_e5627efa2ab1"`

// parseJA4 checks a fingerprint of TLS clients.
func parseJA4(s string) (string, error) { return s, clienthello.CheckJA4(s) }

// namesNoServer reports whether a fingerprint is one of clients that ask for no
// server name: its fourth character says so.
func namesNoServer(ja4 string) bool { return ja4[3] == 'i' }
