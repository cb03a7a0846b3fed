package proxyheader_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"sluice/proxy/proxyheader"
)

// addrPortOf reads an address of a vector; "" is none.
func addrPortOf(t *testing.T, s string) netip.AddrPort {
	t.Helper()
	if s == "" {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		t.Fatal(err)
	}
	return ap
}

func TestGoodHeaders(t *testing.T) {
	t.Parallel()
	var p proxyheader.Parser
	for _, v := range good {
		t.Run(v.name, func(t *testing.T) {
			b := v.bytes(t)
			h, o := p.Parse(b)
			if o != proxyheader.Found {
				t.Fatalf("outcome %d: %s", o, h.Reason)
			}
			version := uint8(2)
			if v.text != "" {
				version = 1
			}
			if h.Size != len(b) || h.Version != version || h.Reason != "" {
				t.Errorf("size %d of %d, version %d, reason %q", h.Size, len(b), h.Version, h.Reason)
			}
			if h.Source != addrPortOf(t, v.source) || h.Destination != addrPortOf(t, v.destination) {
				t.Errorf("from %v to %v, want %q and %q", h.Source, h.Destination, v.source, v.destination)
			}
			if want := unhex(t, v.tlvs); !bytes.Equal(h.TLVs, want) {
				t.Errorf("TLVs %x, want %x", h.TLVs, want)
			}
		})
	}
}

// TestEveryCut: until the last byte is there a header is not one, and what
// comes behind it makes no difference and is not touched.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	var p proxyheader.Parser
	for _, v := range good {
		t.Run(v.name, func(t *testing.T) {
			b := v.bytes(t)
			whole, _ := p.Parse(b)
			for n := range b {
				// The capacity ends there too: reading on would panic.
				if h, o := p.Parse(b[:n:n]); o != proxyheader.NeedMore {
					t.Fatalf("the first %d bytes: outcome %d, reason %q", n, o, h.Reason)
				}
			}
			for _, behind := range []string{"\x16\x03\x01", "\r\n", "PROXY TCP4 ", string(b), strings.Repeat("x", 9000)} {
				long := append(bytes.Clone(b), behind...)
				h, o := p.Parse(long)
				if o != proxyheader.Found || h.Size != whole.Size || h.Source != whole.Source ||
					h.Destination != whole.Destination || !bytes.Equal(h.TLVs, whole.TLVs) {
					t.Errorf("with %.10q behind: outcome %d, %+v", behind, o, h)
				}
				if string(long[len(b):]) != behind {
					t.Errorf("the bytes behind were changed")
				}
			}
		})
	}
}

// TestMalformedHeaders: refused for the right reason, whatever follows, and
// never taken while they are incomplete.
func TestMalformedHeaders(t *testing.T) {
	t.Parallel()
	var p proxyheader.Parser
	for _, v := range bad {
		t.Run(v.name, func(t *testing.T) {
			b := []byte(v.text)
			if v.text == "" {
				b = unhex(t, v.hex)
			}
			for _, whole := range [][]byte{b, append(bytes.Clone(b), "behind"...)} {
				h, o := p.Parse(whole)
				if o != proxyheader.Malformed || !strings.Contains(h.Reason, v.reason) {
					t.Errorf("outcome %d, reason %q, want malformed and %q", o, h.Reason, v.reason)
				}
			}
			malformed := false
			for n := range b {
				_, o := p.Parse(b[:n:n])
				if o != proxyheader.NeedMore && o != proxyheader.Malformed || malformed && o == proxyheader.NeedMore {
					t.Errorf("the first %d bytes: outcome %d", n, o)
				}
				malformed = o == proxyheader.Malformed
			}
		})
	}
}

func TestOtherProtocols(t *testing.T) {
	t.Parallel()
	var p proxyheader.Parser
	for name, b := range absent {
		t.Run(name, func(t *testing.T) {
			if _, o := p.Parse(b); o != proxyheader.Absent {
				t.Errorf("outcome %d", o)
			}
		})
	}
}

// TestNothingYet: no byte is no answer.
func TestNothingYet(t *testing.T) {
	t.Parallel()
	var p proxyheader.Parser
	if _, o := p.Parse(nil); o != proxyheader.NeedMore {
		t.Errorf("outcome %d", o)
	}
}

func TestPassedOn(t *testing.T) {
	t.Parallel()
	v := proxyheader.TLVs(unhex(t, "01 0002 6832  03 0004 00000000  02 0001 61  04 0001 00  EA 0000  EA 0001 07"))
	if got, want := v.PassedOn(), unhex(t, "01 0002 6832  02 0001 61  EA 0000  EA 0001 07"); !bytes.Equal(got, want) {
		t.Errorf("passed on: %x, want %x", got, want)
	}
	if got, want := v.PassedOn(proxyheader.Authority, proxyheader.ALPN), unhex(t, "EA 0000  EA 0001 07"); !bytes.Equal(got, want) {
		t.Errorf("passed on without two types: %x, want %x", got, want)
	}
	if value, ok := v.Get(proxyheader.Authority); !ok || string(value) != "a" {
		t.Errorf("authority is %q, %v", value, ok)
	}
	if _, ok := v.Get(proxyheader.SSL); ok {
		t.Error("there is no SSL TLV")
	}
}
