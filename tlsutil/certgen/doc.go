// Package certgen makes certificate authorities and certificates in memory.
//
// The demo uses it to show TLS on a machine that has no certificates, and
// tests use it wherever a real handshake says more than a mock:
//
//	ca := certgen.NewAuthority("Demo CA")
//	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"app.localhost", "127.0.0.1"}})
//
// An authority lives as long as the process and its key never leaves it. It
// knows no policy, issues whatever it is asked for, and so is no substitute
// for the CA of a production network.
package certgen
