package integration

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// dnsServer is a resolver on loopback that says what the test tells it to.
type dnsServer struct {
	address string

	mu      sync.Mutex // guards what follows
	answers map[string][]dns.RR
	rcode   int // of every answer, when it is an error
	asked   int
}

func newDNSServer(t *testing.T) *dnsServer {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dnsServer{address: c.LocalAddr().String(), answers: make(map[string][]dns.RR)}
	started, ended := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: c, Handler: s, NotifyStartedFunc: func() { close(started) }}
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-started
	t.Cleanup(func() { server.Shutdown(); <-ended })
	return s
}

// ServeDNS implements [dns.Handler].
func (s *dnsServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	m := new(dns.Msg).SetRcode(q, s.rcode)
	m.Authoritative = true
	if s.rcode == dns.RcodeSuccess {
		for _, rr := range s.answers[q.Question[0].Name] {
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	w.WriteMsg(m)
}

// set replaces the records of a name, with a TTL of an hour: it is the refresh
// that finds the change.
func (s *dnsServer) set(t *testing.T, name string, records ...string) {
	t.Helper()
	var list []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(name + " 3600 " + r)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[name] = list
}

// fail has every question answered with an error; RcodeSuccess ends that.
func (s *dnsServer) fail(rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcode = rcode
}

// listenOnAll binds the same port at several addresses of this machine, as a
// name with several addresses needs it.
func listenOnAll(t *testing.T, hosts ...string) (listeners []net.Listener, port int) {
	t.Helper()
	for range 20 {
		listeners, port = nil, 0
		for _, host := range hosts {
			ln, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
			if err != nil {
				break
			}
			listeners, port = append(listeners, ln), ln.Addr().(*net.TCPAddr).Port
		}
		if len(listeners) == len(hosts) {
			return listeners, port
		}
		for _, ln := range listeners {
			ln.Close()
		}
	}
	t.Fatalf("no port is free at all of %q", hosts)
	return nil, 0
}
