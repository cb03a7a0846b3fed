package discovery

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dnsServer is a DNS server on loopback, over UDP and TCP on the same port,
// that says what the test tells it to.
type dnsServer struct {
	address netip.AddrPort

	mu      sync.Mutex // guards what follows
	handler func(w dns.ResponseWriter, q *dns.Msg)
	asked   []string // "udp A a.test."
}

// serveDNS runs a server until the test ends.
func serveDNS(t *testing.T, handler func(dns.ResponseWriter, *dns.Msg)) *dnsServer {
	t.Helper()
	s := &dnsServer{handler: handler}
	packets, listener := listenBoth(t)
	s.address = netip.MustParseAddrPort(packets.LocalAddr().String())
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: listener, Handler: s}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			server.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() { server.Shutdown(); <-ended })
	}
	return s
}

// listenBoth binds a port for both protocols.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return packets, listener
		}
		listener.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func (s *dnsServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	handler := s.handler
	s.asked = append(s.asked, w.LocalAddr().Network()+" "+dns.TypeToString[q.Question[0].Qtype]+" "+q.Question[0].Name)
	s.mu.Unlock()
	handler(w, q)
}

// now changes what the server does.
func (s *dnsServer) now(handler func(dns.ResponseWriter, *dns.Msg)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = handler
}

// questions gives, and forgets, what was asked.
func (s *dnsServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// zone answers with the records of a zone file, follows aliases in it, and
// cuts what does not fit into UDP.
func zone(t *testing.T, records ...string) func(dns.ResponseWriter, *dns.Msg) {
	t.Helper()
	var all []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		known := false
		for name, hops := q.Question[0].Name, 0; name != "" && hops < 40; hops++ {
			next := ""
			for _, rr := range all {
				if rr.Header().Name != name {
					continue
				}
				known = true
				if rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				} else if alias, ok := rr.(*dns.CNAME); ok {
					m.Answer = append(m.Answer, rr)
					next = alias.Target
				}
			}
			name = next
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		if w.LocalAddr().Network() == "udp" {
			size := dns.MinMsgSize
			if opt := q.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			m.Truncate(size)
		}
		w.WriteMsg(m)
	}
}

// rcode answers everything with an error.
func rcode(code int) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(new(dns.Msg).SetRcode(q, code)) }
}

// silent answers nothing.
func silent(dns.ResponseWriter, *dns.Msg) {}

// byType answers each type in its own way.
func byType(handlers map[uint16]func(dns.ResponseWriter, *dns.Msg)) func(dns.ResponseWriter, *dns.Msg) {
	return func(w dns.ResponseWriter, q *dns.Msg) { handlers[q.Question[0].Qtype](w, q) }
}

// told is a sink for tests: a line for every call.
type told chan string

func (s told) Found(set []Found, missing error) {
	line := "found " + describe(set)
	if missing != nil {
		line += " but " + missing.Error()
	}
	s <- line
}

func (s told) Failed(err error) { s <- "failed " + err.Error() }

// next waits for the next call.
func (s told) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("the source has told nothing for 20 s")
		return ""
	}
}

// describe writes a set as "a:1 b:1*weight^priority@host".
func describe(set []Found) string {
	text := ""
	for i, e := range set {
		if i > 0 {
			text += " "
		}
		text += e.Address.String()
		if e.Weight != 1 {
			text += "*" + itoa(e.Weight)
		}
		if e.Priority != 0 {
			text += "^" + itoa(e.Priority)
		}
		if e.Host != "" {
			text += "@" + e.Host
		}
	}
	return text
}

// runSource runs a source until the test ends, or stop is called, which waits
// for it.
func runSource(t *testing.T, s Source) (sink told, stop func()) {
	t.Helper()
	sink = make(told, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx, sink)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return sink, stop
}
