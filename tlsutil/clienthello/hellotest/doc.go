// Package hellotest builds ClientHellos for tests, good ones and hostile ones,
// byte by byte and the same on every run.
//
//	b := hellotest.Builder{ServerNames: []string{"a.test"}, ALPN: []string{"h2"}}
//	whole := b.Records()       // one record
//	split := b.Records(1, 50)  // three records
//
// What [Builder] makes unless told otherwise is a hello that a TLS server
// answers, for TLS 1.2 and 1.3; nobody knows the keys behind it, so no
// handshake can be completed with it.
//
// [Vectors] are the inputs that a gateway must not be misled by, each with
// what must come of it. They are bytes from the first one of a connection on,
// so they can be given to the parser or sent to a running gateway.
//
// It is an ordinary package, not a test file, so that the tests of other
// packages can import it. Mistakes in its use panic.
package hellotest
