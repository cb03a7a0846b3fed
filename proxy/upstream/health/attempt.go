package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"sluice/proxy/upstream"
)

// maxAnswer is how much of an answer is read: what is expected stands at its
// begin.
const maxAnswer = 64 << 10

// attempt makes one check. The error says in words what is wrong.
func (c *Check) attempt(ctx context.Context, e *upstream.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = plainDial
	}
	conn, err := dial(ctx, c.address(e))
	if err != nil {
		return c.failed("connecting", err)
	}
	defer conn.Close()
	if toItself(conn) {
		return c.failed("connecting", syscall.ECONNREFUSED)
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	return c.try(conn, e)
}

// try makes the check on a connection whose deadline is set.
func (c *Check) try(conn net.Conn, e *upstream.Endpoint) error {
	if c.Preface != nil {
		if _, err := conn.Write(c.Preface(conn)); err != nil {
			return c.failed("sending the PROXY header", err)
		}
	}
	switch c.Type {
	case TCP:
		return c.talk(conn)
	case TLS:
		_, err := c.handshake(conn, e)
		return err
	}
	if c.TLS != nil {
		var err error
		if conn, err = c.handshake(conn, e); err != nil {
			return err
		}
	}
	return c.request(conn, e)
}

// toItself tells whether the kernel has connected the check to itself, as it may
// when nobody listens at a port of this machine that it gives to connections
// (RFC 9293 3.5, simultaneous open). [net.Dialer] tries again a few times, and
// then takes it. The port is free again at once, for the endpoint to start.
func toItself(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || tcp.LocalAddr().String() != tcp.RemoteAddr().String() {
		return false
	}
	tcp.SetLinger(0)
	return true
}

func plainDial(ctx context.Context, a upstream.Address) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1} // a check is over before one would be sent
	if a.Path != "" {
		return d.DialContext(ctx, "unix", a.Path)
	}
	return d.DialContext(ctx, "tcp", a.AddrPort.String())
}

// talk sends and expects.
func (c *Check) talk(conn net.Conn) error {
	if len(c.Send) > 0 {
		if _, err := conn.Write(c.Send); err != nil {
			return c.failed("sending", err)
		}
	}
	if len(c.Expect) == 0 {
		return nil
	}
	var said []byte
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		said = append(said, buf[:n]...)
		switch {
		case bytes.Contains(said, c.Expect):
			return nil
		case err != nil && len(said) > 0:
			return c.failed(fmt.Sprintf("waiting for %s, after it said %s", quoted(c.Expect), quoted(said)), err)
		case err != nil:
			return c.failed("waiting for "+quoted(c.Expect), err)
		case len(said) > maxAnswer:
			return &failure{text: fmt.Sprintf("the endpoint said more than %d KiB, and nothing of it was %s; it began with %s", maxAnswer>>10, quoted(c.Expect), quoted(said))}
		}
	}
}

// handshake makes a whole TLS handshake, without a session of an earlier one:
// the certificate is looked at each time.
func (c *Check) handshake(conn net.Conn, e *upstream.Endpoint) (net.Conn, error) {
	cfg := c.TLS.Clone()
	cfg.ClientSessionCache = nil
	if cfg.ServerName == "" {
		if cfg.ServerName = c.Host; c.Host == "" {
			cfg.ServerName = e.Host()
		}
	}
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		verifyWithoutName(cfg)
	}
	if c.Type == HTTP {
		cfg.NextProtos = []string{"http/1.1"}
	}
	client := tls.Client(conn, cfg)
	if err := client.Handshake(); err != nil {
		return nil, c.failed("the TLS handshake", err)
	}
	return client, nil
}

// verifyWithoutName has a certificate verified but for its names.
func verifyWithoutName(cfg *tls.Config) {
	o := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: x509.NewCertPool()}
	if cfg.Time != nil {
		o.CurrentTime = cfg.Time()
	}
	cfg.InsecureSkipVerify = true // VerifyConnection does it, which is called all the same
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		for _, cert := range cs.PeerCertificates[1:] {
			o.Intermediates.AddCert(cert)
		}
		_, err := cs.PeerCertificates[0].Verify(o)
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
		return nil
	}
}

// request sends an HTTP request and looks at the status.
func (c *Check) request(conn net.Conn, e *upstream.Endpoint) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.host(e)+c.Path, nil)
	if err != nil {
		return &failure{text: "making the request: " + err.Error(), cause: err}
	}
	req.Close = true
	req.Header.Set("User-Agent", "sluice")
	if err := req.Write(conn); err != nil {
		return c.failed("sending the request", err)
	}
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	r := bufio.NewReader(limited)
	for {
		resp, err := http.ReadResponse(r, req)
		switch {
		case err != nil && limited.N == 0:
			return &failure{text: fmt.Sprintf("the header of the answer is longer than %d KiB", maxAnswer>>10), cause: err}
		case err != nil:
			return c.failed("waiting for the answer", err)
		}
		// The body is left where it is: closing it would read it first.
		if resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // something comes before the answer (RFC 9110 15.2)
		}
		if !c.wants(resp.StatusCode) {
			return &failure{text: fmt.Sprintf("the status is %d, not %s", resp.StatusCode, c.statusWords())}
		}
		return nil
	}
}

// host is what stands in the Host header.
func (c *Check) host(e *upstream.Endpoint) string {
	switch {
	case strings.Contains(c.Host, ":"): // an IPv6 address (RFC 3986 3.2.2)
		return "[" + c.Host + "]"
	case c.Host != "":
		return c.Host
	case e.Host() != "":
		return e.Host()
	case e.Address.Path != "":
		return "localhost"
	}
	a := c.address(e).AddrPort
	return addrPort(a.Addr().WithZone(""), a.Port()).String() // RFC 9110 7.2: no zone
}

func addrPort(ip netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }

// quoted shows bytes, not too many of them.
func quoted(b []byte) string {
	const most = 40
	if len(b) > most {
		return fmt.Sprintf("%q...", b[:most])
	}
	return fmt.Sprintf("%q", b)
}
