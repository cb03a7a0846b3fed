package relay

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// Record types (RFC 8446 5.1).
const (
	typeAlert           = 21
	typeHandshake       = 22
	typeApplicationData = 23
)

// records seals or opens the TLS 1.3 records of one direction, for what
// crypto/tls cannot be made to send: a KeyUpdate. It knows one cipher
// suite, TLS_AES_128_GCM_SHA256, which crypto/tls prefers where the processor
// has AES.
type records struct {
	t      testing.TB
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func newRecords(t testing.TB, secret []byte) *records {
	t.Helper()
	r := &records{t: t}
	r.use(secret)
	return r
}

func (r *records) use(secret []byte) {
	block, err := aes.NewCipher(expandLabel(r.t, secret, "key", 16))
	check(r.t, err)
	r.aead, err = cipher.NewGCM(block)
	check(r.t, err)
	r.secret, r.iv, r.seq = secret, expandLabel(r.t, secret, "iv", 12), 0
}

// update goes on to the next generation of keys (RFC 8446 7.2).
func (r *records) update() {
	r.use(expandLabel(r.t, r.secret, "traffic upd", sha256.Size))
}

// expandLabel is HKDF-Expand-Label (RFC 8446 7.1) without a context.
func expandLabel(t testing.TB, secret []byte, label string, length int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	check(t, err)
	return out
}

// nonce is that of the next record (RFC 8446 5.3).
func (r *records) nonce() []byte {
	n := bytes.Clone(r.iv)
	for i := range 8 {
		n[4+i] ^= byte(r.seq >> (56 - 8*i))
	}
	r.seq++
	return n
}

// seal makes a record (RFC 8446 5.2).
func (r *records) seal(kind byte, content []byte) []byte {
	inner := append(bytes.Clone(content), kind)
	header := []byte{typeApplicationData, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+r.aead.Overhead()))
	return r.aead.Seal(header, r.nonce(), inner, header)
}

// open gives the first record of b and what comes after it.
func (r *records) open(b []byte) (kind byte, content, rest []byte) {
	r.t.Helper()
	if len(b) < 5 {
		r.t.Fatalf("no record in %d bytes", len(b))
	}
	end := 5 + int(binary.BigEndian.Uint16(b[3:]))
	inner, err := r.aead.Open(nil, r.nonce(), b[5:end], b[:5])
	if err != nil {
		r.t.Fatalf("record %d: %v", r.seq-1, err)
	}
	return inner[len(inner)-1], inner[:len(inner)-1], b[end:]
}

// closeNotify is the alert (RFC 8446 6.1), a warning.
var closeNotify = []byte{1, 0}

// keyUpdate is the message (RFC 8446 4.6.3).
func keyUpdate(requested bool) []byte {
	if requested {
		return []byte{24, 0, 0, 1, 1}
	}
	return []byte{24, 0, 0, 1, 0}
}

// crafted is a TLS 1.3 hand that is past its handshakes, and whose peer's
// records the test makes itself from there on.
type crafted struct {
	*tlsHand
	theirs, ours *records // of the peer, and of the gateway
	raw          []byte   // came from the gateway and was not opened yet
}

func newCrafted(t *testing.T, n network, l layout) *crafted {
	t.Helper()
	var log bytes.Buffer
	near, far := configs(l.side, tls.VersionTLS13)
	far.KeyLogWriter = &log
	for _, config := range []*tls.Config{near, far} {
		config.SessionTicketsDisabled = true // no record of the server's own
	}
	c := &crafted{tlsHand: newTLSHandOf(t, n, l, near, far, false)}
	if suite := c.peers[l.side].ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("cipher suite %#x: this test needs a processor with AES", suite)
	}
	c.theirs = newRecords(t, loggedSecret(t, log.String(), "CLIENT_TRAFFIC_SECRET_0"))
	c.ours = newRecords(t, loggedSecret(t, log.String(), "SERVER_TRAFFIC_SECRET_0"))
	if l.side == Upstream { // where the gateway is the client
		c.theirs, c.ours = c.ours, c.theirs
	}
	return c
}

func loggedSecret(t *testing.T, log, label string) []byte {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); fields[0] == label {
			secret, err := hex.DecodeString(fields[2])
			check(t, err)
			return secret
		}
	}
	t.Fatalf("no %s was logged", label)
	return nil
}

// next gives the next record that the gateway has sent.
func (c *crafted) next() (kind byte, content []byte) {
	c.t.Helper()
	eventually(c.t, "a record", func() bool {
		more, err := c.received(c.side)
		c.raw = append(c.raw, more...)
		whole := len(c.raw) >= 5 && len(c.raw) >= 5+int(binary.BigEndian.Uint16(c.raw[3:]))
		if !whole && err != nil {
			c.t.Fatalf("after %d bytes of a record: %v", len(c.raw), err)
		}
		return whole
	})
	kind, content, c.raw = c.ours.open(c.raw)
	return kind, content
}

func (c *crafted) wantNext(kind byte, content []byte) {
	c.t.Helper()
	if k, b := c.next(); k != kind || !bytes.Equal(b, content) {
		c.t.Errorf("record of type %d: %s", k, fmt.Sprintf("%.40q", b))
	}
}
