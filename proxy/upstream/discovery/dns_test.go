package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func itoa(n int) string { return strconv.Itoa(n) }

// look makes one look with resolvers that are fast to give up.
func look(t *testing.T, l *lookup, srv bool) string {
	t.Helper()
	var r reply
	var err error
	if srv {
		r, err = l.services(t.Context())
	} else {
		r, err = l.addresses(t.Context(), 80)
	}
	if err != nil {
		return "failed " + err.Error()
	}
	line := "found " + describe(r.set)
	if r.ttl != forever {
		line += " for " + r.ttl.String()
	}
	if r.missing != nil {
		line += " but " + r.missing.Error()
	}
	return line
}

func newLookup(host string, servers ...*dnsServer) *lookup {
	l := &lookup{host: host, resolver: resolver{timeout: 200 * time.Millisecond}}
	for _, s := range servers {
		l.resolver.servers = append(l.resolver.servers, s.address)
	}
	return l
}

func TestAddressRecords(t *testing.T) {
	t.Parallel()
	f := func(name, want string, records ...string) {
		t.Helper()
		s := serveDNS(t, zone(t, records...))
		if got := strings.ReplaceAll(look(t, newLookup("api.test", s), false), s.address.String(), "SERVER"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	f("both families, sorted", "found 10.0.0.1:80@api.test 10.0.0.2:80@api.test [2001:db8::1]:80@api.test for 1m0s",
		"api.test. 300 A 10.0.0.2", "api.test. 60 A 10.0.0.1", "api.test. 200 AAAA 2001:db8::1")
	f("IPv4 alone", "found 10.0.0.1:80@api.test for 5s", "api.test. 5 A 10.0.0.1")
	f("IPv6 alone", "found [2001:db8::1]:80@api.test for 5s", "api.test. 5 AAAA 2001:db8::1")
	f("an address twice", "found 10.0.0.1:80@api.test for 5s", "api.test. 5 A 10.0.0.1", "api.test. 9 A 10.0.0.1")
	f("TTL 0", "found 10.0.0.1:80@api.test for 0s", "api.test. 0 A 10.0.0.1")
	f("TTL with the highest bit", "found 10.0.0.1:80@api.test for 0s", "api.test. 2147483648 A 10.0.0.1")
	f("behind aliases, with the least TTL of all", "found 10.0.0.1:80@api.test for 7s",
		"api.test. 300 CNAME b.test.", "b.test. 7 CNAME c.test.", "c.test. 60 A 10.0.0.1")
	f("an alias to nowhere", "failed api.test. has no A records, says SERVER", "api.test. 300 CNAME b.test.")
	f("an alias to itself", "failed asking SERVER: api.test. has more than 16 aliases one after the other", "api.test. 300 CNAME api.test.")
	f("no such name", "failed no name api.test. (NXDOMAIN), says SERVER", "other.test. 60 A 10.0.0.1")
	f("no addresses", "failed api.test. has no A records, says SERVER", "api.test. 60 TXT x")
	f("not to be connected to", "failed api.test. has no address that can be connected to", "api.test. 60 A 0.0.0.0", "api.test. 60 AAAA ff02::1")
	f("link-local without a zone, which DNS cannot hold", "found [2001:db8::1]:80@api.test for 9s", "api.test. 9 AAAA fe80::1", "api.test. 9 AAAA 2001:db8::1")
	f("IPv4 in IPv6", "found 10.0.0.1:80@api.test for 9s", "api.test. 9 AAAA ::ffff:10.0.0.1")
}

func TestServiceRecords(t *testing.T) {
	t.Parallel()
	f := func(name, want string, records ...string) {
		t.Helper()
		s := serveDNS(t, zone(t, records...))
		if got := strings.ReplaceAll(look(t, newLookup("_api._tcp.test", s), true), s.address.String(), "SERVER"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	f("port, weight and priority", "found 10.0.0.1:8443*20@a.test 10.0.0.2:9443*5^1@b.test for 30s",
		"_api._tcp.test. 60 SRV 0 20 8443 a.test.", "_api._tcp.test. 60 SRV 1 5 9443 b.test.", "a.test. 60 A 10.0.0.1", "b.test. 30 A 10.0.0.2")
	f("a target with several addresses", "found 10.0.0.1:80*7@a.test 10.0.0.2:80*7@a.test [2001:db8::1]:80*7@a.test for 1m0s",
		"_api._tcp.test. 60 SRV 0 7 80 a.test.", "a.test. 60 A 10.0.0.1", "a.test. 60 A 10.0.0.2", "a.test. 60 AAAA 2001:db8::1")
	f("weight 0", "found 10.0.0.1:80@a.test for 1m0s", "_api._tcp.test. 60 SRV 0 0 80 a.test.", "a.test. 60 A 10.0.0.1")
	f("ports of one host", "found 10.0.0.1:80@a.test 10.0.0.1:81@a.test for 1m0s",
		"_api._tcp.test. 60 SRV 0 1 80 a.test.", "_api._tcp.test. 60 SRV 0 1 81 a.test.", "a.test. 60 A 10.0.0.1")
	f("an address by two names: what is used first counts", "found 10.0.0.1:80*9^1@b.test for 1m0s",
		"_api._tcp.test. 60 SRV 2 1 80 a.test.", "_api._tcp.test. 60 SRV 1 9 80 b.test.", "a.test. 60 A 10.0.0.1", "b.test. 60 A 10.0.0.1")
	f("the service is not there", `failed the SRV record of _api._tcp.test says that there is no such service (its target is ".")`,
		"_api._tcp.test. 60 SRV 0 0 0 .")
	f("port 0", "failed the SRV records of _api._tcp.test have port 0, to which nothing can connect",
		"_api._tcp.test. 60 SRV 0 1 0 a.test.", "a.test. 60 A 10.0.0.1")
	f("no target has an address", "failed of _api._tcp.test: no name a.test. (NXDOMAIN), says SERVER", "_api._tcp.test. 60 SRV 0 1 80 a.test.")
	f("one target has none", "found 10.0.0.2:80@b.test for 1m0s but of _api._tcp.test: no name a.test. (NXDOMAIN), says SERVER",
		"_api._tcp.test. 60 SRV 0 1 80 a.test.", "_api._tcp.test. 60 SRV 0 1 80 b.test.", "b.test. 60 A 10.0.0.2")
	f("addresses instead of records", "failed _api._tcp.test. has no SRV records, says SERVER", "_api._tcp.test. 60 A 10.0.0.1")
}

// Each of these leaves what was found before as it was; and the next look
// finds what is there then.
func TestFailuresKeepTheLastAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		fails      func(dns.ResponseWriter, *dns.Msg)
	}{
		{"NXDOMAIN", "no name api.test. (NXDOMAIN)", zone(t)},
		{"SERVFAIL", "the answer for api.test. is SERVFAIL", rcode(dns.RcodeServerFailure)},
		{"REFUSED", "the answer for api.test. is REFUSED", rcode(dns.RcodeRefused)},
		{"timeout", "no answer within 200ms", silent},
		{"empty", "api.test. has no A records", zone(t, "api.test. 60 TXT x")},
		{"referral", "the server only refers to others", func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(q)) }},
		{"too many", "more than the 1000", zone(t, manyAddresses("api.test.", 1001)...)},
		{"truncated over TCP too", "the answer is truncated even over TCP", func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			w.WriteMsg(m)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			good := zone(t, "api.test. 0 A 10.0.0.1")
			s := serveDNS(t, good)
			sink, _ := runSource(t, &DNS{Host: "api.test", Port: 80, MinTTL: time.Millisecond, Resolvers: []netip.AddrPort{s.address}, timeout: 200 * time.Millisecond})
			if got, want := sink.next(t), "found 10.0.0.1:80@api.test"; got != want {
				t.Fatalf("at first: %s, want %s", got, want)
			}
			s.now(c.fails)
			got := sink.next(t)
			for strings.HasPrefix(got, "found 10.0.0.1:80@api.test") {
				got = sink.next(t) // what was asked before, or in between
			}
			if !strings.HasPrefix(got, "failed ") || !strings.Contains(got, c.want) {
				t.Errorf("then %q, want a failure with %q", got, c.want)
			}
			s.now(zone(t, "api.test. 0 A 10.0.0.2"))
			for !strings.HasPrefix(got, "found") {
				got = sink.next(t)
			}
			if want := "found 10.0.0.2:80@api.test"; got != want {
				t.Errorf("afterwards %s, want %s", got, want)
			}
		})
	}
}

// A family that cannot be asked for stays as it was, and so does a target of
// SRV records; one that has gone is gone.
func TestPartialFailuresKeepThatPart(t *testing.T) {
	t.Parallel()
	s := serveDNS(t, zone(t, "api.test. 60 A 10.0.0.1", "api.test. 60 AAAA 2001:db8::1"))
	l := newLookup("api.test", s)
	expect := func(step, want string) {
		t.Helper()
		got := strings.ReplaceAll(look(t, l, false), s.address.String(), "SERVER")
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", step, got, want)
		}
	}
	expect("both", "found 10.0.0.1:80@api.test [2001:db8::1]:80@api.test for 1m0s")
	s.now(byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
		dns.TypeA: zone(t, "api.test. 60 A 10.0.0.2"), dns.TypeAAAA: rcode(dns.RcodeServerFailure)}))
	expect("no AAAA", "found 10.0.0.2:80@api.test [2001:db8::1]:80@api.test for 1m0s but asking SERVER: the answer for api.test. is SERVFAIL")
	s.now(byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
		dns.TypeA: silent, dns.TypeAAAA: zone(t, "api.test. 60 AAAA 2001:db8::2")}))
	expect("no A", "found 10.0.0.2:80@api.test [2001:db8::2]:80@api.test for 1m0s but asking SERVER: no answer within 200ms")
	s.now(byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
		dns.TypeA: zone(t, "api.test. 60 A 10.0.0.3"), dns.TypeAAAA: zone(t)}))
	expect("AAAA does not exist", "found 10.0.0.3:80@api.test for 1m0s")
	s.now(rcode(dns.RcodeServerFailure))
	expect("neither", "failed asking SERVER: the answer for api.test. is SERVFAIL")
	s.now(byType(map[uint16]func(dns.ResponseWriter, *dns.Msg){
		dns.TypeA: rcode(dns.RcodeServerFailure), dns.TypeAAAA: zone(t, "api.test. 60 AAAA 2001:db8::3")}))
	expect("no A, after neither", "found 10.0.0.3:80@api.test [2001:db8::3]:80@api.test for 1m0s but asking SERVER: the answer for api.test. is SERVFAIL")
}

func TestServiceTargetsKeepTheirAddresses(t *testing.T) {
	t.Parallel()
	services := []string{"api.test. 60 SRV 0 1 80 a.test.", "api.test. 60 SRV 0 1 80 b.test."}
	s := serveDNS(t, zone(t, append(services, "a.test. 60 A 10.0.0.1", "b.test. 60 A 10.0.0.2")...))
	l := newLookup("api.test", s)
	expect := func(step, want string) {
		t.Helper()
		got, _, _ := strings.Cut(look(t, l, true), " for ")
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", step, got, want)
		}
	}
	expect("both", "found 10.0.0.1:80@a.test 10.0.0.2:80@b.test")
	s.now(zone(t, append(services, "a.test. 60 A 10.0.0.9")...))
	expect("b has no address", "found 10.0.0.2:80@b.test 10.0.0.9:80@a.test")
	expect("still", "found 10.0.0.2:80@b.test 10.0.0.9:80@a.test")
	s.now(zone(t, services[0], "a.test. 60 A 10.0.0.9"))
	expect("b is no target", "found 10.0.0.9:80@a.test")
	s.now(zone(t, append(services, "a.test. 60 A 10.0.0.9")...))
	expect("b is back without an address", "found 10.0.0.9:80@a.test")
}

// A target that stands in several records is asked for once: with a thousand
// records of one host it would be two thousand queries.
func TestATargetIsAskedForOnce(t *testing.T) {
	t.Parallel()
	s := serveDNS(t, zone(t, "_api._tcp.test. 60 SRV 0 1 80 a.test.", "_api._tcp.test. 60 SRV 0 1 81 A.test.", "_api._tcp.test. 60 SRV 1 1 82 a.test.",
		"_api._tcp.test. 60 SRV 0 1 83 gone.test.", "_api._tcp.test. 60 SRV 0 1 84 gone.test.", "a.test. 60 A 10.0.0.1"))
	got := strings.ReplaceAll(look(t, newLookup("_api._tcp.test", s), true), s.address.String(), "SERVER")
	want := "found 10.0.0.1:80@a.test 10.0.0.1:81@a.test 10.0.0.1:82^1@a.test for 1m0s but of _api._tcp.test: no name gone.test. (NXDOMAIN), says SERVER"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	asked := s.questions()
	slices.Sort(asked)
	if want := []string{"udp A a.test.", "udp A gone.test.", "udp AAAA a.test.", "udp AAAA gone.test.", "udp SRV _api._tcp.test."}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// An answer that is too long for UDP is fetched over TCP, whole.
func TestTruncatedAnswersComeOverTCP(t *testing.T) {
	t.Parallel()
	s := serveDNS(t, zone(t, manyAddresses("api.test.", 400)...))
	got := look(t, newLookup("api.test", s), false)
	if n := strings.Count(got, "@api.test"); n != 400 {
		t.Errorf("%d addresses, want 400: %s", n, got)
	}
	asked := s.questions()
	slices.Sort(asked)
	if want := []string{"tcp A api.test.", "udp A api.test.", "udp AAAA api.test."}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func manyAddresses(name string, n int) []string {
	var records []string
	for i := range n {
		records = append(records, fmt.Sprintf("%s 60 A 10.1.%d.%d", name, i>>8, i&255))
	}
	return records
}

// What does not answer the question is passed over: the true answer counts,
// although it comes last.
func TestForeignAnswersArePassedOver(t *testing.T) {
	t.Parallel()
	good := zone(t, "api.test. 60 A 10.0.0.1")
	bad := zone(t, "api.test. 60 A 10.6.6.6", "other.test. 60 A 10.6.6.6")
	s := serveDNS(t, nil)
	for name, lie := range map[string]func(w dns.ResponseWriter, q *dns.Msg){
		"another number": func(w dns.ResponseWriter, q *dns.Msg) {
			q = q.Copy()
			q.Id++
			bad(w, q)
		},
		"another name": func(w dns.ResponseWriter, q *dns.Msg) {
			q = q.Copy()
			q.Question[0].Name = "other.test."
			bad(w, q)
		},
		"another type": func(w dns.ResponseWriter, q *dns.Msg) {
			q = q.Copy()
			q.Question[0].Qtype = dns.TypeTXT
			bad(w, q)
		},
		"no question": func(w dns.ResponseWriter, q *dns.Msg) {
			m := new(dns.Msg).SetReply(q)
			m.Question = nil
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "api.test.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 9}, A: net.IPv4(10, 6, 6, 6)}}
			w.WriteMsg(m)
		},
		"a query": func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(q) },
		"rubbish": func(w dns.ResponseWriter, q *dns.Msg) {
			w.Write([]byte{0})
			w.Write(make([]byte, 40))
			w.Write([]byte("this is not a DNS message at all, whatever you may make of it"))
		},
		"the number and then rubbish": func(w dns.ResponseWriter, q *dns.Msg) {
			w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 0x80, 0, 0, 9, 0, 9, 0, 9, 0, 9, 77})
		},
	} {
		s.now(func(w dns.ResponseWriter, q *dns.Msg) { lie(w, q); good(w, q) })
		if got, want := look(t, newLookup("api.test", s), false), "found 10.0.0.1:80@api.test for 1m0s"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// Records that were not asked for are not taken, even inside a true answer.
func TestOtherNamesInAnAnswerDoNotCount(t *testing.T) {
	t.Parallel()
	s := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		for _, r := range []string{"other.test. 60 A 10.6.6.6", "API.test. 60 A 10.0.0.1", "api.test. 60 CH A 10.6.6.7"} {
			if rr, err := dns.NewRR(r); err == nil && q.Question[0].Qtype == dns.TypeA {
				m.Answer = append(m.Answer, rr)
			}
		}
		w.WriteMsg(m)
	})
	if got, want := look(t, newLookup("api.test", s), false), "found 10.0.0.1:80@api.test for 1m0s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The next server is asked when one is of no use; one that knows that there is
// nothing has answered.
func TestServersAreAskedInTurn(t *testing.T) {
	t.Parallel()
	good := serveDNS(t, zone(t, "api.test. 60 A 10.0.0.1"))
	f := func(name string, handler func(dns.ResponseWriter, *dns.Msg), want string) {
		t.Helper()
		s := serveDNS(t, handler)
		if got := look(t, newLookup("api.test", s, good), false); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	f("SERVFAIL", rcode(dns.RcodeServerFailure), "found 10.0.0.1:80")
	f("silence", silent, "found 10.0.0.1:80")
	f("REFUSED", rcode(dns.RcodeRefused), "found 10.0.0.1:80")
	f("NXDOMAIN", zone(t), "failed no name api.test.")
	gone := serveDNS(t, silent)
	l := newLookup("api.test", gone, good)
	l.resolver.servers[0] = refusingUDP(t)
	if got := look(t, l, false); !strings.HasPrefix(got, "found 10.0.0.1:80") {
		t.Errorf("nobody there: %s", got)
	}
}

// Trouble that lasts is told in the same words each time, so that it is logged
// once: the port that a query left from is not among them.
func TestTroubleIsToldInTheSameWords(t *testing.T) {
	t.Parallel()
	l := newLookup("api.test")
	server := refusingUDP(t)
	l.resolver.servers = []netip.AddrPort{server}
	want := "failed asking " + server.String() + ": connection refused"
	for range 3 {
		if got := look(t, l, false); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	s := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if w.LocalAddr().Network() == "tcp" {
			w.Close()
			return
		}
		m := new(dns.Msg).SetReply(q)
		m.Truncated = true
		w.WriteMsg(m)
	})
	want = "failed asking " + s.address.String() + ": over TCP, since the answer is too long for UDP: the server closed the connection"
	for range 3 {
		if got := look(t, newLookup("api.test", s), false); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// refusingUDP gives an address where nobody listens.
func refusingUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

// A lost packet is no failure.
func TestALostPacketIsAskedForAgain(t *testing.T) {
	t.Parallel()
	good := zone(t, "api.test. 60 A 10.0.0.1")
	s := serveDNS(t, nil)
	lost := map[uint16]bool{} // guarded by the server being asked for one type by one goroutine at a time
	gate := make(chan struct{}, 1)
	s.now(func(w dns.ResponseWriter, q *dns.Msg) {
		gate <- struct{}{}
		first := !lost[q.Question[0].Qtype]
		lost[q.Question[0].Qtype] = true
		<-gate
		if !first {
			good(w, q)
		}
	})
	if got, want := look(t, newLookup("api.test", s), false), "found 10.0.0.1:80@api.test for 1m0s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// RFC 6891 7: a server that does not know EDNS answers FORMERR, and perhaps
// without the question.
func TestServersWithoutEDNS(t *testing.T) {
	t.Parallel()
	good := zone(t, "api.test. 60 A 10.0.0.1")
	for _, code := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented} {
		s := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
			if q.IsEdns0() != nil {
				m := new(dns.Msg).SetRcode(q, code)
				m.Question = nil
				w.WriteMsg(m)
				return
			}
			good(w, q)
		})
		if got, want := look(t, newLookup("api.test", s), false), "found 10.0.0.1:80@api.test for 1m0s"; got != want {
			t.Errorf("%s: %s, want %s", dns.RcodeToString[code], got, want)
		}
	}
}

func TestTheSystemsWay(t *testing.T) {
	t.Parallel()
	s := serveDNS(t, zone(t, "db.prod.test. 60 A 10.0.0.1", "db.other.test. 60 A 10.0.0.2", "a.b. 60 A 10.0.0.3",
		"_x._tcp.prod.test. 60 SRV 0 1 99 db.other.test."))
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hosts := write("hosts", "# comment\n192.0.2.7 hosted Alias.test # db\n::1 hosted\n0.0.0.0 blocked\nrubbish hosted\n")
	f := func(host string, srv bool, want string) {
		t.Helper()
		l := &lookup{host: host, resolver: resolver{timeout: 200 * time.Millisecond, system: systemFiles{hosts: hosts}}}
		l.resolver.system.resolvConf = write("resolv.conf", "nameserver 127.0.0.1\nsearch . missing.test prod.test other.test\noptions ndots:2\n")
		// resolv.conf knows no port, so the server is put in behind its back:
		// the names are the system's all the same.
		names, err := l.resolver.names(host, false)
		if err != nil {
			t.Fatal(err)
		}
		if ips := l.resolver.hosts(host); len(ips) > 0 {
			if got := fmt.Sprint(ips); got != want {
				t.Errorf("%s: %s, want %s", host, got, want)
			}
			return
		}
		l.resolver.servers = []netip.AddrPort{s.address}
		var got resolved
		l.search(names, func(name string) (err error) {
			got, err = l.resolveName(t.Context(), name, families{})
			return err
		})
		if got := fmt.Sprint(got.all()); got != want {
			t.Errorf("%s (as %q): %s, want %s", host, names, got, want)
		}
	}
	f("db", false, "[10.0.0.1]")
	f("db.", false, "[]")
	f("a.b", false, "[10.0.0.3]")
	f("db.other", false, "[]")
	f("db.other.test", false, "[10.0.0.2]")
	f("hosted", false, "[192.0.2.7 ::1]")
	f("ALIAS.test.", false, "[192.0.2.7]")
	f("blocked", false, "[]")

	none := systemFiles{resolvConf: filepath.Join(dir, "none")}
	if servers, err := none.servers(); err != nil || fmt.Sprint(servers) != "[127.0.0.1:53]" {
		t.Errorf("without resolv.conf the servers are %v, %v", servers, err)
	}
	scoped := systemFiles{resolvConf: write("scoped", "nameserver fe80::1%lo\nnameserver nonsense\nnameserver 2001:db8::53\n")}
	if servers, err := scoped.servers(); err != nil || fmt.Sprint(servers) != "[[fe80::1%lo]:53 [2001:db8::53]:53]" {
		t.Errorf("servers are %v, %v", servers, err)
	}
	if _, err := (&resolver{}).names("a..b", false); err == nil {
		t.Error("a..b is a name")
	}
}

// Names of the search list are asked for in turn, as the system does it; which
// of them is meant does not change for a moment of a server's doubt.
func TestSearch(t *testing.T) {
	t.Parallel()
	none, dunno, timeout := error(nothing{"none", errNoName}), error(unsure{"dunno"}), errors.New("no answer")
	f := func(name, answered string, says []error, asked int, want error, then string) {
		t.Helper()
		l, n := &lookup{answered: answered}, 0
		err := l.search([]string{"a", "b", "c"}[:len(says)], func(string) error { n++; return says[n-1] })
		if n != asked || !errors.Is(err, want) || l.answered != then {
			t.Errorf("%s: asked for %d, %v, and then the name is %q; want %d, %v, %q", name, n, err, l.answered, asked, want, then)
		}
	}
	f("the first", "", []error{nil, nil, nil}, 1, nil, "a")
	f("the second", "", []error{none, nil, nil}, 2, nil, "b")
	f("none", "", []error{none, none, none}, 3, none, "")
	f("a suffix that nobody serves", "", []error{dunno, none, nil}, 3, nil, "c")
	f("the same again", "c", []error{dunno, none, nil}, 3, nil, "c")
	f("doubt about the name that had an answer", "a", []error{dunno, nil, nil}, 2, dunno, "a")
	f("doubt before it and about it", "b", []error{dunno, dunno, nil}, 3, dunno, "b")
	f("it has gone", "a", []error{none, nil, nil}, 2, nil, "b")
	f("doubt and nothing", "", []error{none, dunno, none}, 3, dunno, "")
	f("silence is for all names", "", []error{timeout, nil, nil}, 1, timeout, "")
	f("one name", "", []error{dunno}, 1, dunno, "")
}

// The pauses between looks, on a clock of the test's own.
func TestRefreshFollowsTheTTL(t *testing.T) {
	t.Parallel()
	f := func(name string, r rhythm, look func(i int) (time.Duration, error), want ...time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var at []time.Duration
			ctx, cancel := context.WithCancel(t.Context())
			r.run(ctx, make(told, 100), func(context.Context) (reply, error) {
				at = append(at, time.Since(start))
				if len(at) == len(want) {
					cancel()
				}
				ttl, err := look(len(at))
				return reply{ttl: ttl}, err
			})
			if !slices.Equal(at, want) {
				t.Errorf("%s: looked at %v, want %v", name, at, want)
			}
		})
	}
	s := time.Second
	ttl := func(d time.Duration) func(int) (time.Duration, error) {
		return func(int) (time.Duration, error) { return d, nil }
	}
	failing := func(int) (time.Duration, error) { return 0, errors.New("no") }
	f("a long TTL", rhythm{10 * s, s}, ttl(300*s), 0, 10*s, 20*s)
	f("no TTL", rhythm{10 * s, s}, ttl(forever), 0, 10*s, 20*s)
	f("a short TTL", rhythm{10 * s, s}, ttl(4*s), 0, 4*s, 8*s)
	f("TTL 0", rhythm{10 * s, 2 * s}, ttl(0), 0, 2*s, 4*s)
	f("the defaults", rhythm{}, ttl(0), 0, s, 2*s)
	f("the defaults with a long TTL", rhythm{}, ttl(time.Hour), 0, 10*s)
	f("a floor above the refresh", rhythm{refresh: 500 * time.Millisecond}, ttl(0), 0, 500*time.Millisecond, s)
	f("failures", rhythm{10 * s, s}, failing, 0, s, 3*s, 7*s, 15*s, 25*s, 35*s)
	f("a failure between", rhythm{10 * s, s}, func(i int) (time.Duration, error) {
		if i == 2 {
			return 0, errors.New("no")
		}
		return 60 * s, nil
	}, 0, 10*s, 11*s, 21*s)
}

// A source that waits for an answer ends when it is told to, at once and
// without another word.
func TestAStoppedSourceIsQuiet(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	s := serveDNS(t, func(dns.ResponseWriter, *dns.Msg) { asked <- struct{}{} })
	sink, stop := runSource(t, &DNS{Host: "api.test", Port: 80, Resolvers: []netip.AddrPort{s.address}, timeout: time.Hour})
	<-asked
	stop()
	select {
	case line := <-sink:
		t.Errorf("after its end it says %q", line)
	default:
	}
}

// FuzzAnswer: whatever a server sends is understood or refused.
func FuzzAnswer(f *testing.F) {
	seed := new(dns.Msg).SetQuestion("api.test.", dns.TypeA)
	seed.Response = true
	for _, r := range []string{"api.test. 300 CNAME b.test.", "b.test. 60 A 10.0.0.1", "b.test. 60 SRV 0 1 80 c.test."} {
		rr, err := dns.NewRR(r)
		if err != nil {
			f.Fatal(err)
		}
		seed.Answer = append(seed.Answer, rr)
	}
	wire, err := seed.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add(wire[:len(wire)-3])
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
			query := new(dns.Msg).SetQuestion("api.test.", kind)
			query.Id = m.Id
			answers(m, query)
			a, err := interpret(m, query.Question[0])
			if (err == nil) != (len(a.records) > 0) {
				t.Errorf("%d records and error %v", len(a.records), err)
			}
			for _, rr := range a.records {
				if kind == dns.TypeSRV {
					if _, ok := rr.(*dns.SRV); !ok {
						t.Errorf("%T among SRV records", rr)
					}
				}
			}
			for _, ip := range a.addresses() {
				if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || ip.Is4In6() {
					t.Errorf("the address %s", ip)
				}
			}
		}
	})
}
