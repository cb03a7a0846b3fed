package clienthello

// Outcome says what the first bytes of a connection are. All but [NeedMore]
// are final: more bytes do not change them.
type Outcome uint8

const (
	// NeedMore means that the bytes so far are the beginning of a hello, or
	// may be: read more.
	NeedMore Outcome = iota

	// TLS is a complete hello with a host name.
	TLS

	// NoSNI is a complete hello without a usable host name: no server_name
	// extension, an empty name (to which crypto/tls answers decode_error), an
	// IP address (RFC 6066 §3 allows none), or only names of a type other than
	// host_name.
	NoSNI

	// ECHOuter is a complete hello with a host name and an
	// encrypted_client_hello extension of type outer (RFC 9849 §5). The name
	// is the outer one; what the client really wants is encrypted, or nothing
	// at all is: a client that merely greases the extension sends the same.
	// A hello with that extension but without a host name is [NoSNI].
	ECHOuter

	// NotTLS means that the first record header is not one of TLS: the type
	// is not 20 to 22, or the major version not 3. Some servers do not mind
	// the version: crypto/tls serves a hello in records of any below 16.0,
	// and behind an alert of such a version, before it has agreed on one.
	// [Hello.Reason] tells bytes of that kind from the others: they may go
	// only where somebody asked for bytes that are not TLS, since the server
	// at any other place may read a name in them that was not read here.
	NotTLS

	// Malformed means that it is TLS, or SSLv2, but not a hello that can be
	// routed without ambiguity. [Hello.Reason] says why.
	Malformed

	// TooLarge means that the hello may be well-formed but is beyond a limit
	// of ours. [Hello.Reason] says which.
	TooLarge
)

// String gives the word that the access record uses in its field hello.
func (o Outcome) String() string {
	switch o {
	case NeedMore:
		return "need_more"
	case TLS:
		return "tls"
	case NoSNI:
		return "no_sni"
	case ECHOuter:
		return "ech_outer"
	case NotTLS:
		return "not_tls"
	case Malformed:
		return "malformed"
	case TooLarge:
		return "too_large"
	}
	panic("BUG: clienthello: unknown outcome")
}

// Complete reports whether a whole hello was read, so that the accessors of
// [Hello] say what is in it.
func (o Outcome) Complete() bool { return o == TLS || o == NoSNI || o == ECHOuter }
