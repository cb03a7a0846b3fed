package clienthello

// The record layer under the hello. Its rules, all decided by headers alone:
//
//   - Before keys are agreed a client sends handshake records and nothing
//     else. Servers skip some warning alerts here; nobody sends them.
//   - No record is empty (RFC 8446 §5.1 forbids it for handshake records).
//     An empty first record is how HAProxy is led to its default.
//   - The record in which the hello ends holds nothing after it. TLS 1.3
//     servers refuse that (RFC 8446 §5.1: a message before a change of keys
//     ends on a record boundary), OpenSSL and crypto/tls among them, and with
//     older versions a client has nothing to say before the server answers.
//   - The version in a record header is ignored but for its major part: it
//     was 3.1 for compatibility, and is 3.3, and means nothing (§5.1). With
//     another major part it is not TLS to us, and may be to others; see
//     [NotTLS].

const (
	recordHeaderLen    = 5
	handshakeHeaderLen = 4

	// maxRecordLen is the most payload of a plaintext record (RFC 8446 §5.1).
	maxRecordLen = 1 << 14

	// maxRecords is how many records a hello may be spread over. Every call
	// of Parse walks their headers again, so the count bounds what a byte of
	// a slow client costs: 64 headers are less than 1 µs, below the system
	// calls that bring the byte. The largest hello fits in 5 full records;
	// clients that split on purpose use two or three.
	maxRecords = 64

	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22

	typeClientHello = 1
)

// proceed is the outcome, within this package, of a step that found nothing
// to end with: what the hello is remains to be seen.
const proceed = ^Outcome(0)

// verdict is an outcome with its reason.
type verdict struct {
	outcome Outcome
	reason  string
}

func malformed(reason string) verdict { return verdict{Malformed, reason} }
func tooLarge(reason string) verdict  { return verdict{TooLarge, reason} }

// tooManyBytes is the reason for what max forbids.
const tooManyBytes = "hello larger than inspect.max_bytes"

// frame is where the hello's handshake message lies in the bytes received.
type frame struct {
	size    int // bytes of all records of the hello
	length  int // bytes of the message, its header included
	records int
}

// readFrame walks the records at the front of b until the handshake message
// in them is complete. It looks at bytes strictly in the order in which they
// came and decides on the first bad one: that is what makes answers final.
func readFrame(b []byte, max int) (f frame, v verdict) {
	var header [handshakeHeaderLen]byte
	headerKnown := false
	needed := handshakeHeaderLen // bytes of the message, as far as known
	for f.length < needed || !headerKnown {
		if f.records == maxRecords {
			return f, tooLarge("hello spread over more than 64 records")
		}
		n, v := recordLength(b[f.size:], f.records == 0)
		if v.outcome != proceed {
			return f, v
		}
		payload := b[f.size+recordHeaderLen:]
		f.size += recordHeaderLen + n
		if f.size > max {
			return f, tooLarge(tooManyBytes)
		}
		if !headerKnown {
			have := f.length + copy(header[f.length:], payload[:min(n, len(payload))])
			if have > 0 && header[0] != typeClientHello {
				return f, malformed("first handshake message is no client_hello")
			}
			if headerKnown = have == handshakeHeaderLen; headerKnown {
				needed += int(header[1])<<16 | int(header[2])<<8 | int(header[3])
			}
		}
		f.length += n
		f.records++
		switch {
		case headerKnown && f.length > needed:
			return f, malformed("data after the hello in its record")
		case f.length < needed && f.size+leastBytes(needed-f.length) > max:
			return f, tooLarge(tooManyBytes)
		case f.size > len(b):
			return f, verdict{outcome: NeedMore}
		}
	}
	return f, verdict{outcome: proceed}
}

// leastBytes is how many bytes n more bytes of a message take with the
// headers of as few records as can be.
func leastBytes(n int) int {
	return n + recordHeaderLen*((n+maxRecordLen-1)/maxRecordLen)
}

// recordLength reads the record header at the front of b and gives the length
// of its payload with the outcome proceed. Each byte is judged as soon as it
// is there. first is set for the first record of the connection, for which
// the question is still whether this is TLS at all.
func recordLength(b []byte, first bool) (n int, v verdict) {
	needMore := verdict{outcome: NeedMore}
	if len(b) == 0 {
		return 0, needMore
	}
	if first && b[0]&0xf0 == 0x80 {
		return 0, sslv2(b)
	}
	if first && (b[0] < typeChangeCipherSpec || b[0] > typeHandshake) {
		return 0, verdict{outcome: NotTLS}
	}
	if !first && b[0] != typeHandshake {
		return 0, malformed("another record type within the hello")
	}
	if len(b) < 2 {
		return 0, needMore
	}
	switch {
	case b[1] == 3:
	case first:
		return 0, otherVersion(b[0], b[1])
	default:
		return 0, malformed("another protocol version within the hello")
	}
	switch b[0] {
	case typeChangeCipherSpec:
		return 0, malformed("change_cipher_spec before the hello")
	case typeAlert:
		return 0, malformed("alert before the hello")
	}
	if len(b) < recordHeaderLen {
		return 0, needMore
	}
	n = int(b[3])<<8 | int(b[4])
	switch {
	case n == 0:
		return 0, malformed("empty handshake record")
	case n > maxRecordLen:
		return 0, malformed("record longer than 16384 bytes")
	}
	return n, verdict{outcome: proceed}
}

// otherVersion judges a first record whose major version is not 3. A server
// that knows no later TLS than we do has no use for it, but crypto/tls refuses
// only those from 16.0 on; and what begins as a handshake record does is
// suspect with any version.
func otherVersion(typ, major byte) verdict {
	v := verdict{outcome: NotTLS}
	if typ == typeHandshake || major < 16 {
		v.reason = "TLS record of another major version than 3"
	}
	return v
}

// sslv2 judges bytes that begin with 0x80 to 0x8f. That is how the hello of
// SSLv2, and the one of SSLv3 and TLS 1.0 in its format (RFC 5246 E.2),
// begins: a length below 4096 with the high bit set, the type client_hello,
// and the version. Larger first bytes would be a hello of absurd length and
// are more likely another protocol (telnet begins with 0xff).
func sslv2(b []byte) verdict {
	switch {
	case len(b) > 2 && b[2] != typeClientHello,
		len(b) > 3 && b[3] != 0 && b[3] != 3,
		len(b) > 4 && b[3] == 0 && b[4] != 2:
		return verdict{outcome: NotTLS}
	case len(b) < 5:
		return verdict{outcome: NeedMore}
	}
	return malformed("hello in the format of SSLv2")
}

// message gives the handshake message in the records that f describes: in
// place when one record holds it, else put together in scratch.
func (f frame) message(b, scratch []byte) []byte {
	if f.records == 1 {
		return b[recordHeaderLen:f.size]
	}
	n := 0
	for at := 0; at < f.size; {
		end := at + recordHeaderLen + (int(b[at+3])<<8 | int(b[at+4]))
		n += copy(scratch[n:], b[at+recordHeaderLen:end])
		at = end
	}
	return scratch[:n]
}
