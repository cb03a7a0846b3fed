package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// errNothing is that the name has no records of the kind: the server knows the
// name and says so, or knows that there is no such name (errNoName).
var (
	errNothing = errors.New("there is nothing")
	errNoName  = fmt.Errorf("no such name: %w", errNothing)
)

// nothing is an errNothing that says more.
type nothing struct {
	text string
	kind error
}

func (n nothing) Error() string { return n.text }
func (n nothing) Unwrap() error { return n.kind }

// unsure is that a server has answered, and does not know: another one, or the
// same one at another time, may.
type unsure struct{ text string }

func (u unsure) Error() string { return u.text }

// answer is what was asked for, and how long it is good for.
type answer struct {
	records []dns.RR // all of the type that was asked for
	ttl     time.Duration
}

// addresses gives the addresses in the answer that can be connected to.
func (a answer) addresses() []netip.Addr {
	var ips []netip.Addr
	for _, rr := range a.records {
		var ip netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			ip, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			ip, _ = netip.AddrFromSlice(rr.AAAA)
		}
		ip = ip.Unmap()
		if connectable(ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}

// connectable tells whether there can be an endpoint at the address. Zones are
// not supported, without which a link-local IPv6 address leads nowhere.
func connectable(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && ip.Zone() == "" && (ip.Is4() || !ip.IsLinkLocalUnicast())
}

// maxAliases bounds a chain of CNAME records.
const maxAliases = 16

// interpret reads a message that answers the question: the records asked for,
// behind any aliases. Records of other names are not looked at. An error that
// is not errNothing is the server's trouble, and another one may know better.
func interpret(m *dns.Msg, q dns.Question) (answer, error) {
	switch {
	case m.Rcode == dns.RcodeNameError:
		return answer{}, nothing{fmt.Sprintf("no name %s (NXDOMAIN)", q.Name), errNoName}
	case m.Rcode != dns.RcodeSuccess:
		return answer{}, unsure{fmt.Sprintf("the answer for %s is %s", q.Name, rcodeWord(m.Rcode))}
	case len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable:
		// A server that neither knows the zone nor asks others.
		return answer{}, unsure{fmt.Sprintf("the server only refers to others for %s", q.Name)}
	}
	name, ttl := q.Name, uint32(1<<31-1) // RFC 2181 8
	for range maxAliases {
		var found []dns.RR
		var alias *dns.CNAME
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != q.Qclass || !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == q.Qtype {
				found = append(found, rr)
				ttl = min(ttl, ttlOf(h))
			} else if c, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = c
			}
		}
		switch {
		case len(found) > 0:
			return answer{found, time.Duration(ttl) * time.Second}, nil
		case alias == nil:
			return answer{}, nothing{fmt.Sprintf("%s has no %s records", q.Name, dns.TypeToString[q.Qtype]), errNothing}
		}
		name, ttl = alias.Target, min(ttl, ttlOf(alias.Header()))
	}
	return answer{}, fmt.Errorf("%s has more than %d aliases one after the other", q.Name, maxAliases)
}

// ttlOf gives a record's TTL; one with the highest bit set is 0 (RFC 2181 8).
func ttlOf(h *dns.RR_Header) uint32 {
	if h.Ttl >= 1<<31 {
		return 0
	}
	return h.Ttl
}

func rcodeWord(code int) string {
	if word, ok := dns.RcodeToString[code]; ok {
		return word
	}
	return fmt.Sprintf("the unknown error %d", code)
}

// sortServices sorts by priority, then in an order that does not depend on the
// one of the message, so that of two records for one address always the same
// counts.
func sortServices(list []*dns.SRV) {
	slices.SortFunc(list, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight),
			cmp.Compare(a.Port, b.Port), strings.Compare(key(a.Target), key(b.Target)))
	})
}
