package health

import (
	"context"
	"net"
	"testing"

	"sluice/proxy/upstream"
)

// Nobody listens, and the kernel connects the check to itself: it would hear
// what it says.
func TestAConnectionToItselfIsNobody(t *testing.T) {
	t.Parallel()
	address := refusing(t)
	toItself := func(ctx context.Context, a upstream.Address) (net.Conn, error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(a.AddrPort)}
		return d.DialContext(ctx, "tcp", a.AddrPort.String())
	}
	expect(t, "connects", Check{Dial: toItself}, address, "the connection was refused")
	// A port that is still taken would keep the endpoint from starting again.
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	expect(t, "hears itself", Check{Dial: toItself, Send: []byte("PONG"), Expect: []byte("PONG")}, address, "the connection was refused")
}
