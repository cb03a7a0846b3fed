package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// forever is the TTL of what has none.
const forever = time.Duration(math.MaxInt64)

// lookup looks one name up and remembers the last good answers.
type lookup struct {
	host     string
	resolver resolver

	// last holds the addresses of every name that was in the last answer.
	last map[string]families
	// answered is which name of the search list that answer was for.
	answered string
}

// families are the addresses of one name.
type families struct {
	v4, v6 []netip.Addr
}

func (f families) all() []netip.Addr { return slices.Concat(f.v4, f.v6) }

// resolved is what is known of one name.
type resolved struct {
	families
	ttl     time.Duration
	missing error // of the family that is as it was before
}

// addresses looks up the A and AAAA records of the host.
func (l *lookup) addresses(ctx context.Context, port uint16) (reply, error) {
	r, err := l.resolve(ctx, l.host, false)
	if err != nil {
		return reply{}, err
	}
	ips := r.all()
	if len(ips) > maxFound {
		return reply{}, fmt.Errorf("%s has %d addresses, more than the %d that a cluster may get from DNS", l.host, len(ips), maxFound)
	}
	l.last = map[string]families{key(l.host): r.families}
	set := make([]Found, 0, len(ips))
	for _, ip := range ips {
		set = append(set, endpointAt(ip, port, key(l.host)))
	}
	return reply{settle(set), r.ttl, r.missing}, nil
}

// services looks up the SRV records of the host and the addresses of their
// targets (RFC 2782). A target that cannot be looked up keeps the addresses it
// had. When no target has any, that is a failure.
func (l *lookup) services(ctx context.Context) (reply, error) {
	records, ttl, err := l.serviceRecords(ctx)
	if err != nil {
		return reply{}, err
	}
	got := reply{ttl: ttl}
	targets := make(map[string]families, len(records))
	known := make(map[string]resolved) // targets that stand in several records
	for _, srv := range records {
		r, again := known[key(srv.Target)]
		if !again {
			r = l.resolveTarget(ctx, srv.Target)
			known[key(srv.Target)], targets[key(srv.Target)] = r, r.families
		}
		if got.missing == nil && r.missing != nil {
			got.missing = fmt.Errorf("of %s: %w", l.host, r.missing)
		}
		got.ttl = min(got.ttl, r.ttl)
		for _, ip := range r.all() {
			e := endpointAt(ip, srv.Port, key(srv.Target))
			e.Weight, e.Priority = max(int(srv.Weight), 1), int(srv.Priority)
			got.set = append(got.set, e)
		}
		if len(got.set) > maxFound {
			return reply{}, fmt.Errorf("the SRV records of %s have more than the %d addresses that a cluster may get from DNS", l.host, maxFound)
		}
	}
	if len(got.set) == 0 {
		if got.missing == nil {
			got.missing = fmt.Errorf("the targets of %s have no address that can be connected to", l.host)
		}
		return reply{}, got.missing
	}
	l.last = targets
	got.set = settle(got.set)
	return got, nil
}

// resolveTarget gives the addresses of a target, or those that it had.
func (l *lookup) resolveTarget(ctx context.Context, target string) resolved {
	r, err := l.resolve(ctx, target, true)
	if err != nil {
		return resolved{l.last[key(target)], forever, err}
	}
	return r
}

// serviceRecords gives the SRV records, those that are used first first.
func (l *lookup) serviceRecords(ctx context.Context) ([]*dns.SRV, time.Duration, error) {
	names, err := l.resolver.names(l.host, false)
	if err != nil {
		return nil, 0, err
	}
	var a answer
	err = l.search(names, func(name string) (err error) {
		a, err = l.resolver.ask(ctx, name, dns.TypeSRV)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	list := make([]*dns.SRV, 0, len(a.records))
	for _, rr := range a.records {
		srv := rr.(*dns.SRV)
		if srv.Target == "." {
			// RFC 2782: the service is decidedly not available here.
			return nil, 0, fmt.Errorf("the SRV record of %s says that there is no such service (its target is \".\")", l.host)
		}
		if srv.Port > 0 {
			list = append(list, srv)
		}
	}
	if len(list) == 0 {
		return nil, 0, fmt.Errorf("the SRV records of %s have port 0, to which nothing can connect", l.host)
	}
	sortServices(list)
	return list, a.ttl, nil
}

// resolve gives the addresses of a name. absolute is set for a name that came
// out of DNS, which no search list applies to.
func (l *lookup) resolve(ctx context.Context, host string, absolute bool) (resolved, error) {
	if ips := l.resolver.hosts(host); len(ips) > 0 {
		return resolved{families{v4: ips}, forever, nil}, nil
	}
	names, err := l.resolver.names(host, absolute)
	if err != nil {
		return resolved{}, err
	}
	var r resolved
	err = l.search(names, func(name string) (err error) {
		r, err = l.resolveName(ctx, name, l.last[key(host)])
		return err
	})
	return r, err
}

// search asks for one name after the other until there is an answer, as the
// system does: a server that is unsure of a name, such as one with a suffix that
// nobody serves, is asked for the next. But where a name has answered before,
// none behind it takes its place because a server is unsure for a moment.
func (l *lookup) search(names []string, ask func(name string) error) error {
	if len(names) == 1 {
		return ask(names[0])
	}
	var doubt, last error
	for _, name := range names {
		err := ask(name)
		_, doubtful := errors.AsType[unsure](err)
		switch {
		case err == nil && doubt != nil && l.answered != "" && l.answered != name:
			return doubt
		case err == nil:
			l.answered = name
			return nil
		case doubtful:
			doubt = cmp.Or(doubt, err)
		case !errors.Is(err, errNothing):
			return err
		default:
			last = err
		}
	}
	return cmp.Or(doubt, last)
}

// resolveName asks for both families of one name at once. A family that could
// not be asked for is as it was. One that does not exist while the other does
// has no addresses, as with servers that know no AAAA (RFC 4074 4.2).
func (l *lookup) resolveName(ctx context.Context, name string, was families) (resolved, error) {
	ch := make(chan asked, 1)
	go l.resolver.askTo(ch, ctx, name, dns.TypeAAAA)
	v4, err4 := l.resolver.ask(ctx, name, dns.TypeA)
	v6 := <-ch
	r := resolved{ttl: forever}
	take := func(a answer, err error, was []netip.Addr) []netip.Addr {
		if err != nil && !errors.Is(err, errNothing) {
			r.missing = err
			return was
		}
		ips := a.addresses()
		if len(ips) > 0 {
			r.ttl = min(r.ttl, a.ttl)
		}
		return ips
	}
	r.v4 = take(v4, err4, was.v4)
	r.v6 = take(v6.answer, v6.err, was.v6)
	switch {
	case r.ttl < forever:
		return r, nil
	case r.missing != nil:
		return resolved{}, r.missing
	case err4 != nil:
		return resolved{}, err4
	case v6.err != nil:
		return resolved{}, v6.err
	}
	return resolved{}, fmt.Errorf("%s has no address that can be connected to", name)
}

// key is a name as it is compared.
func key(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
