package config

import (
	"fmt"
	"math"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// The bounds of limits.
const (
	// mostConnections is more than a process can have descriptors for
	// (fs.nr_open is at most 2^30 or so).
	mostConnections = 1 << 30

	// Nothing accepts connections faster than maxRate; at minRate there is
	// one in a quarter of an hour.
	minRate  = 0.001
	maxRate  = 1_000_000
	maxBurst = 1_000_000
)

func decodeMaxConnections(b *block) int { return b.integer("max_connections", 0, 0, mostConnections) }

// decodeAcceptLimit reads the accept_limit block of a listener.
func decodeAcceptLimit(b *block) Rate {
	if limit, there := b.one("accept_limit"); there {
		return readAcceptLimit(limit)
	}
	return Rate{}
}

func readAcceptLimit(b *block) Rate {
	if !b.has("rate") && b.complete() {
		b.errorf(b.def, "Missing rate", "The block limits nothing without one: write rate = 1000 for a thousand new connections per second.")
		return Rate{}
	}
	return decodeRate(b)
}

// decodePerSource reads the per_source block of a listener.
func decodePerSource(b *block) PerSource {
	if limit, there := b.one("per_source"); there {
		return readPerSource(limit)
	}
	return PerSource{}
}

func readPerSource(b *block) PerSource {
	p := PerSource{MaxConnections: decodeMaxConnections(b)}
	switch {
	case !b.has("max_connections") && !b.has("rate") && b.complete():
		b.errorf(b.def, "Missing limit", "The block limits nothing: write max_connections, rate or both.")
	case b.has("burst") && !b.has("rate") && b.complete():
		b.errorf(b.attrs["burst"].NameRange, "Missing rate", "burst says how many new connections may come at once, and without rate there is no limit to them: add one, or leave burst out.")
	default:
		p.Rate = decodeRate(b)
	}
	return p
}

// decodeRate reads rate and burst. The burst that goes without saying is what
// comes in a second.
func decodeRate(b *block) Rate {
	r := Rate{PerSecond: b.rate("rate")}
	r.Burst = b.integer("burst", int(min(math.Ceil(r.PerSecond), maxBurst)), 1, maxBurst)
	if r.PerSecond == 0 {
		return Rate{} // none was given, or it cannot be used
	}
	return r
}

// rate is a number per second, which may be a fraction; 0 when there is none.
func (b *block) rate(name string) float64 {
	s, ok := b.setting(name)
	if !ok {
		return 0
	}
	kind := fmt.Sprintf("a number per second from %v to %v", minRate, maxRate)
	if s.value.Type() != cty.Number {
		s.wrongType(kind, "tonumber")
		return 0
	}
	perSecond, _ := s.value.AsBigFloat().Float64()
	switch {
	case perSecond == 0:
		s.invalid(kind, fmt.Errorf("would refuse every connection: write %s, or leave it out for no limit", kind))
		return 0
	case perSecond < minRate || perSecond > maxRate:
		s.invalid(kind, fmt.Errorf("is not possible: write %s", kind))
		return 0
	}
	return perSecond
}

// accessDecl is where an access block says what.
type accessDecl struct {
	allow, deny hcl.Expression // nil: not written
	bad         bool           // an entry could not be read
	hidden      bool           // an entry came from env() or file()
}

// decodeAccess reads the access block of a listener or of a chain.
func decodeAccess(b *block) (Access, accessDecl) {
	lists, _ := b.one("access")
	return readAccess(lists)
}

func readAccess(b *block) (Access, accessDecl) {
	failures := b.failures
	a := Access{
		Allow: parsedList(b, "allow", kindPrefix, parsePrefix),
		Deny:  parsedList(b, "deny", kindPrefix, parsePrefix),
	}
	d := accessDecl{bad: b.failures != failures || !b.complete(), hidden: b.hidden}
	if b.has("allow") {
		d.allow = b.attrs["allow"].Expr
	}
	if b.has("deny") {
		d.deny = b.attrs["deny"].Expr
	}
	return a, d
}
