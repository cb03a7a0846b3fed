package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	// queryTimeout is how long one server may take for one answer.
	queryTimeout = 2 * time.Second
	// queryRounds is how often each server is asked: UDP loses packets.
	queryRounds = 2
	// udpSize is what fits into a packet on any path (DNS flag day 2020).
	udpSize = 1232
)

// resolver asks servers.
type resolver struct {
	servers []netip.AddrPort // empty: the system's
	timeout time.Duration
	system  systemFiles
}

// ask gives the records of one type. It asks each server in turn until one
// answers, with records or with that there are none.
func (r *resolver) ask(ctx context.Context, name string, kind uint16) (answer, error) {
	servers := r.servers
	if len(servers) == 0 {
		var err error
		if servers, err = r.system.servers(); err != nil {
			return answer{}, err
		}
	}
	q := dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}
	var first error
	for range queryRounds {
		for _, server := range servers {
			m, err := r.exchange(ctx, server, q)
			var a answer
			if err == nil {
				a, err = interpret(m, q)
			}
			if err == nil {
				return a, nil
			}
			err = said(err, server)
			if errors.Is(err, errNothing) || ctx.Err() != nil {
				return answer{}, err
			}
			if first == nil {
				first = err
			}
		}
	}
	return answer{}, first
}

// asked is what ask gave.
type asked struct {
	answer
	err error
}

// askTo is ask in a goroutine.
func (r *resolver) askTo(to chan<- asked, ctx context.Context, name string, kind uint16) {
	a, err := r.ask(ctx, name, kind)
	to <- asked{a, err}
}

// said adds which server it was.
func said(err error, server netip.AddrPort) error {
	if n, ok := errors.AsType[nothing](err); ok {
		return nothing{n.text + ", says " + server.String(), n.kind}
	}
	return fmt.Errorf("asking %s: %w", server, err)
}

// exchange asks one server: over UDP, and over TCP when the answer did not fit.
func (r *resolver) exchange(ctx context.Context, server netip.AddrPort, q dns.Question) (*dns.Msg, error) {
	timeout := r.timeout
	if timeout == 0 {
		timeout = queryTimeout
	}
	query := &dns.Msg{MsgHdr: dns.MsgHdr{Id: dns.Id(), RecursionDesired: true}, Question: []dns.Question{q}}
	query.SetEdns0(udpSize, false)
	m, err := roundTrip(ctx, "udp", server, query, timeout)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		query.Id, query.Extra = dns.Id(), nil // a server from before EDNS (RFC 6891 7)
		m, err = roundTrip(ctx, "udp", server, query, timeout)
	}
	if err != nil || !m.Truncated {
		return m, err
	}
	query.Id = dns.Id()
	if m, err = roundTrip(ctx, "tcp", server, query, timeout); err != nil {
		return nil, fmt.Errorf("over TCP, since the answer is too long for UDP: %w", err)
	}
	if m.Truncated {
		return nil, errors.New("the answer is truncated even over TCP")
	}
	return m, nil
}

// roundTrip sends the query from a fresh socket, connected, so that the kernel
// picks the port at random and drops what comes from anybody else, and waits
// for the message that answers it. What does not is passed over: it may be
// somebody's guess, and the true answer may still come.
func roundTrip(ctx context.Context, network string, server netip.AddrPort, query *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := func() (*dns.Msg, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, server.String())
		if err != nil {
			return nil, err
		}
		defer c.Close()
		deadline, _ := ctx.Deadline()
		c.SetDeadline(deadline)
		defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
		conn := &dns.Conn{Conn: c, UDPSize: udpSize}
		if err := conn.WriteMsg(query); err != nil {
			return nil, err
		}
		for {
			m, err := conn.ReadMsg()
			if m != nil && answers(m, query) && err == nil {
				return m, nil
			}
			if m == nil && !errors.Is(err, dns.ErrShortRead) || network == "tcp" {
				if err == nil {
					err = errors.New("it answers another question")
				}
				return nil, err
			}
		}
	}()
	if err != nil {
		return nil, inWords(err, timeout)
	}
	return m, nil
}

// inWords says what went wrong, in the same words each time that it does: the
// addresses in the errors of the net package have a port of chance in them.
func inWords(err error, timeout time.Duration) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", timeout)
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	}
	return err
}

// answers tells whether m answers the query. A server that did not understand
// the query may leave the question out.
func answers(m, query *dns.Msg) bool {
	if !m.Response || m.Id != query.Id || m.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(m.Question) == 0 {
		return m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented
	}
	a, q := m.Question[0], query.Question[0]
	return len(m.Question) == 1 && a.Qtype == q.Qtype && a.Qclass == q.Qclass && strings.EqualFold(a.Name, q.Name)
}
