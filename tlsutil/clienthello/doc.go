// Package clienthello reads the first message of a TLS connection, the
// ClientHello, without taking part in the handshake: which host the client
// wants (SNI, RFC 6066 §3), which protocols it speaks (ALPN, RFC 7301) and
// which TLS versions it offers. A gateway needs those before it can decide
// where the connection goes, and the bytes themselves go on unchanged.
//
// The caller collects bytes and asks after each read:
//
//	var hello clienthello.Hello
//	switch hello.Parse(received, scratch, max) {
//	case clienthello.NeedMore:
//		// read more and ask again with everything received so far
//	case clienthello.TLS, clienthello.ECHOuter:
//		route(hello.ServerName())
//	...
//	}
//
// # One name, decided once
//
// Whoever can make the router see one name and the server behind it another
// gets past every policy bound to names. So the parser is as strict as the
// servers are, or stricter, wherever two readers could disagree: a repeated
// extension, two host names, a name with a NUL in it, bytes after the hello
// in its record, empty records. Such a hello is [Malformed]; it is never
// handed on as a hello without a name, and so never reaches a default chain.
// Records of a major version that TLS does not have are [NotTLS], but with a
// [Hello.Reason]: there are servers that take them.
// What crypto/tls accepts is read as crypto/tls reads it, but for case; the
// fuzz test FuzzAgainstCryptoTLS holds that, and lists where we refuse more.
//
// Three things are accepted that crypto/tls refuses. An empty host name
// counts as none ([NoSNI]). One trailing dot is dropped, since the name it
// stands for is certain; [Hello.TrailingDot] tells. Where the gateway
// terminates TLS itself, both are answered by crypto/tls, with decode_error.
// And extensions that do not bear on routing (key_share and the like) are not looked into: what is
// wrong inside them is for the server to refuse.
//
// # Decided as early as possible
//
// Bad bytes are refused when they arrive, not at the deadline, and an answer
// other than [NeedMore] never changes when more bytes follow. Until the
// message is complete only record and handshake headers are looked at (at
// most 64 records), so a client that sends one byte at a time costs less than
// the system calls that bring its bytes. The body is parsed once.
//
// # How it is built
//
// Parse (hello.go) has two steps. frame.go walks the record layer (RFC 8446
// §5.1) and gives the handshake message, put together in the caller's scratch
// buffer when it spans records. body.go walks the message (RFC 8446 §4.1.2)
// field by field and extension by extension; extensions.go and name.go read
// those that matter. Nothing is allocated, whatever the bytes are. What a JA4
// fingerprint is made of is only remembered on the way, as views; ja4.go makes it
// for who asks.
//
// Non-goals: other fingerprints, decrypting Encrypted Client Hello, QUIC, DTLS, and
// reading the SSLv2-compatible hello, which cannot carry a name and is refused.
package clienthello
