package relay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/proxy/poller"
)

// A handshake message that crypto/tls does not take after the handshake ends
// the stream, also when data came right before it: crypto/tls says so once, and
// not as an error that stays. The peer is told with an alert, and the other side
// with a reset, after the data.

func TestStreamFinishedMessageBehindData(t *testing.T) {
	finished := append([]byte{20, 0, 0, 32}, make([]byte, 32)...)
	overCrafted(t, overTCP, func(t *testing.T, c *crafted) {
		c.send(c.side, append(c.theirs.seal(typeApplicationData, []byte("before it")), c.theirs.seal(typeHandshake, finished)...))
		c.wantRefusedMessage(t)
		c.FlushAlerts()
		c.wantNext(typeAlert, []byte{2, 10}) // unexpected_message
	})
}

// The other side is slow, so that the data is not passed on in the turn that
// read it. No event of the peer comes any more to act on the message.
func TestStreamFinishedMessageBehindDataThatWaits(t *testing.T) {
	overCrafted(t, overUnix, func(t *testing.T, c *crafted) {
		other := c.side.Other()
		check(t, unix.SetsockoptInt(c.near[other], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10))
		data := make([]byte, maxRecord)
		c.send(c.side, append(c.theirs.seal(typeApplicationData, data), c.theirs.seal(typeHandshake, []byte{20, 0, 0, 0})...))
		c.Events(c.side, poller.In)
		if st := c.Turn(c.m); st != Waiting || c.Drained() {
			t.Fatalf("status %d: the other side was to be slow", st)
		}
		var got []byte // ciphertext, where that side is encrypted
		eventually(t, "the reset", func() bool {
			b, err := c.received(other)
			check(t, err)
			got = append(got, b...)
			c.Events(other, c.look(other)&poller.Out)
			return c.Turn(c.m) == PassReset
		})
		b, _ := c.received(other)
		got = append(got, b...)
		if len(got) < len(data) || !c.both && len(got) > len(data) || c.StreamError(c.side) == nil {
			t.Errorf("the other side got %d bytes for %d, then %v", len(got), len(data), c.StreamError(c.side))
		}
	})
}

// crypto/tls serves no renegotiation (RFC 5746), and asks for none.
func TestStreamRenegotiationBehindData(t *testing.T) {
	for _, side := range bothSides {
		var log bytes.Buffer
		near, far := configs(side, tls.VersionTLS12)
		server, client := near, far
		if side == Upstream {
			server, client = far, near
		}
		serverRandom := bytes.Repeat([]byte{7}, 32)
		server.Rand = sevens{}
		client.KeyLogWriter, client.CipherSuites = &log, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		h := newTLSHandOf(t, overTCP, layout{side: side}, near, far, false)
		records := newRecords12(t, log.String(), serverRandom, side)
		message := []byte{0, 0, 0, 0} // HelloRequest (RFC 5246 7.4.1.1)
		if side == Downstream {
			message = []byte{1, 0, 0, 41, 3, 3}
			message = append(message, make([]byte, 32)...)       // random
			message = append(message, 0, 0, 2, 0xc0, 0x2b, 1, 0) // no session, one suite, no compression
		}
		h.send(side, append(records.seal(typeApplicationData, []byte("before it")), records.seal(typeHandshake, message)...))
		if side == Upstream { // told with a warning, which crypto/tls's server drops
			h.wantEnd(PassReset, side)
			if err := h.StreamError(side); err == nil || !strings.Contains(err.Error(), "no renegotiation") {
				t.Errorf("the stream ended with %v", err)
			}
			continue
		}
		h.wantRefusedMessage(t)
		h.FlushAlerts()
		if _, err := h.peers[side].Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "unexpected message") {
			t.Errorf("the client was told %v", err)
		}
	}
}

func (h *tlsHand) wantRefusedMessage(t *testing.T) {
	t.Helper()
	h.wantEnd(PassReset, h.side)
	if err := h.StreamError(h.side); err == nil || !strings.Contains(err.Error(), "unexpected handshake message") {
		t.Errorf("the stream ended with %v", err)
	}
	if got := h.hears(h.side.Other(), 9); string(got) != "before it" {
		t.Errorf("the other side got %q", got)
	}
}

// sevens is a source of randomness, for a hello whose random is to be known.
type sevens struct{}

func (sevens) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
	}
	return len(b), nil
}

// records12 seals the records of a TLS 1.2 peer past its handshake, with
// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 5288).
type records12 struct {
	aead cipher.AEAD
	salt []byte
	seq  uint64
}

func newRecords12(t *testing.T, log string, serverRandom []byte, side Side) *records12 {
	t.Helper()
	random, err := hex.DecodeString(strings.Fields(log)[1])
	check(t, err)
	master := loggedSecret(t, log, "CLIENT_RANDOM")
	// RFC 5246 5 and 6.3: two keys of 16 bytes, then two salts of 4.
	seed := append(append([]byte("key expansion"), serverRandom...), random...)
	var keys []byte
	for a := mac(master, seed); len(keys) < 40; a = mac(master, a) {
		keys = append(keys, mac(master, append(bytes.Clone(a), seed...))...)
	}
	key, salt := keys[:16], keys[32:36] // the client's, then the server's
	if side == Upstream {
		key, salt = keys[16:32], keys[36:40]
	}
	block, err := aes.NewCipher(key)
	check(t, err)
	aead, err := cipher.NewGCM(block)
	check(t, err)
	return &records12{aead, salt, 1} // 0 was its Finished
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func (r *records12) seal(kind byte, content []byte) []byte {
	seq := binary.BigEndian.AppendUint64(nil, r.seq)
	r.seq++
	additional := append(bytes.Clone(seq), kind, 3, 3, byte(len(content)>>8), byte(len(content)))
	n := len(seq) + len(content) + r.aead.Overhead()
	record := append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, seq...)
	return r.aead.Seal(record, append(bytes.Clone(r.salt), seq...), content, additional)
}
