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
// not as an error that stays. The client is told with an alert, and the endpoint
// with a reset, after the data.

func TestStreamFinishedMessageBehindData(t *testing.T) {
	finished := append([]byte{20, 0, 0, 32}, make([]byte, 32)...)
	c := newCrafted(t, overTCP, layout{Downstream, false})
	c.send(Downstream, append(c.theirs.seal(typeApplicationData, []byte("before it")), c.theirs.seal(typeHandshake, finished)...))
	c.wantRefusedMessage(t)
	c.FlushAlerts()
	c.wantNext(typeAlert, []byte{2, 10}) // unexpected_message
}

// The endpoint is slow, so that the data is not passed on in the turn that read
// it. No event of the client comes any more to act on the message.
func TestStreamFinishedMessageBehindDataThatWaits(t *testing.T) {
	c := newCrafted(t, overUnix, layout{Downstream, false})
	check(t, unix.SetsockoptInt(c.near[Upstream], unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10))
	data := make([]byte, maxRecord)
	c.send(Downstream, append(c.theirs.seal(typeApplicationData, data), c.theirs.seal(typeHandshake, []byte{20, 0, 0, 0})...))
	c.Events(Downstream, poller.In)
	if st := c.Turn(c.m); st != Waiting || c.Drained() {
		t.Fatalf("status %d: the endpoint was to be slow", st)
	}
	got := 0
	eventually(t, "the reset", func() bool {
		b, err := c.received(Upstream)
		check(t, err)
		got += len(b)
		c.Events(Upstream, c.look(Upstream)&poller.Out)
		return c.Turn(c.m) == PassReset
	})
	b, _ := c.received(Upstream)
	if got += len(b); got != len(data) || c.StreamError(Downstream) == nil {
		t.Errorf("the endpoint got %d of %d bytes, then %v", got, len(data), c.StreamError(Downstream))
	}
}

// crypto/tls serves no renegotiation (RFC 5746).
func TestStreamRenegotiationBehindData(t *testing.T) {
	var log bytes.Buffer
	server, client := serverConfig(tls.VersionTLS12), clientConfig()
	serverRandom := bytes.Repeat([]byte{7}, 32)
	server.Rand = sevens{}
	client.KeyLogWriter, client.CipherSuites = &log, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	h := newTLSHandOf(t, overTCP, layout{Downstream, false}, server, client, false)
	records := newRecords12(t, log.String(), serverRandom)
	hello := []byte{1, 0, 0, 41, 3, 3}
	hello = append(hello, make([]byte, 32)...)       // random
	hello = append(hello, 0, 0, 2, 0xc0, 0x2b, 1, 0) // no session, one suite, no compression
	h.send(Downstream, append(records.seal(typeApplicationData, []byte("before it")), records.seal(typeHandshake, hello)...))
	h.wantRefusedMessage(t)
	h.FlushAlerts()
	if _, err := h.peers[Downstream].Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "unexpected message") {
		t.Errorf("the client was told %v", err)
	}
}

func (h *tlsHand) wantRefusedMessage(t *testing.T) {
	t.Helper()
	if st := h.over(); st != PassReset || h.FirstGone() != Downstream {
		t.Fatalf("status %d, %v", st, h.StreamError(Downstream))
	}
	if err := h.StreamError(Downstream); err == nil || !strings.Contains(err.Error(), "unexpected handshake message") {
		t.Errorf("the stream ended with %v", err)
	}
	if got := h.arrives(Upstream, 9); string(got) != "before it" {
		t.Errorf("the endpoint got %q", got)
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

// records12 seals the records of a TLS 1.2 client past its handshake, with
// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 5288).
type records12 struct {
	aead cipher.AEAD
	salt []byte
	seq  uint64
}

func newRecords12(t *testing.T, log string, serverRandom []byte) *records12 {
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
	block, err := aes.NewCipher(keys[:16])
	check(t, err)
	aead, err := cipher.NewGCM(block)
	check(t, err)
	return &records12{aead, keys[32:36], 1} // 0 was its Finished
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
