// Package proxyheader reads and writes the header of the PROXY protocol, in
// which a proxy tells the server behind it between which addresses the
// connection that it passes on really is. The specification is
// https://www.haproxy.org/download/3.3/doc/proxy-protocol.txt; its sections are
// cited as PROXY 2.2 and so on.
//
// A receiver collects bytes and asks after each read:
//
//	var p proxyheader.Parser
//	switch h, outcome := p.Parse(received); outcome {
//	case proxyheader.NeedMore:
//		// read more and ask again with everything received so far
//	case proxyheader.Found:
//		received = received[h.Size:] // what comes behind is the client's
//	case proxyheader.Absent, proxyheader.Malformed:
//		...
//	}
//
// A sender gets the bytes to write from [Message.Format], or from [Local] for
// connections of its own, such as health checks.
//
// # What is taken for a header
//
// The first bytes decide: "PROXY " is version 1, the signature of twelve bytes
// is version 2, anything else is no header. Whatever begins like one is one, and
// has to be right to the last byte: a line without CRLF, a number with a leading
// zero, a TLV that goes beyond the end, a checksum that does not fit are all
// [Malformed]. Lengths are bounded, [MaxV1] and [MaxV2].
//
// A header without TCP addresses (UNKNOWN, LOCAL, UNSPEC, and the UDP and unix
// families, for which PROXY 2.2 allows it) is a good one: the addresses of the
// connection itself hold then. Whether to believe a header is a question of who
// sent it, and the caller's.
//
// # How it is built
//
// Parse finds where the header ends in the bytes so far and has
// github.com/pires/go-proxyproto read exactly those (parse.go). TLVs are walked
// here, without copies (tlv.go). Format (format.go) has that library write too.
//
// Non-goals: UDP datagrams, and what cloud providers put into TLVs of their own;
// those are passed on as they are.
package proxyheader
