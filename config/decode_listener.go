package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Defaults of a listener.
const (
	// defaultInspectTimeout is one deadline over the whole hello and the TLS
	// handshake, so that a client cannot stretch it byte by byte.
	defaultInspectTimeout = 5 * time.Second
	// defaultInspectMaxBytes holds a post-quantum hello ten times over.
	defaultInspectMaxBytes = 16 << 10
	// A hello below 512 bytes is smaller than what browsers send.
	minInspectMaxBytes = 512
	maxInspectMaxBytes = 64 << 10

	// maxBacklog is what listen(2) takes.
	maxBacklog = 1<<31 - 1
)

// listenerDecl is a listener with what the checks over several blocks need.
type listenerDecl struct {
	*Listener
	at           hcl.Range   // its name
	addressPlace []hcl.Range // of each of Addresses
	hidden       bool        // an address came from env() or file()
	addressesBad bool        // one could not be read: nothing is concluded from the others
	chains       []*chainDecl
	fallback     *chainDecl // its default_filter_chain
	onNoMatch    *hcl.Range
	access       accessDecl
}

func (l *loader) decodeListener(b *block) {
	inspect, _ := b.one("inspect")
	d := &listenerDecl{at: b.at, Listener: &Listener{
		Name:           b.label,
		Pos:            posOf(b.def),
		Freebind:       b.boolean("freebind", false),
		Backlog:        b.integer("backlog", 0, 0, maxBacklog),
		Keepalive:      decodeKeepalive(b),
		UserTimeout:    b.milliseconds("tcp_user_timeout", 0),
		MaxConnections: decodeMaxConnections(b),
		AcceptLimit:    decodeAcceptLimit(b),
		PerSource:      decodePerSource(b),
		OnNoMatch:      decodeRefusal(b, "on_no_match"),
		OnChange:       decodeFate(b, "on_change", FateKeep),
	}}
	readInspect(inspect, d.Listener)
	if b.has("on_no_match") {
		d.onNoMatch = b.attrs["on_no_match"].Range.Ptr()
	}
	d.decodeAddresses(b)
	d.ProxyProtocol = d.decodeProxyProtocol(b)
	d.Access, d.access = decodeAccess(b)
	for _, chain := range b.all("filter_chain") {
		c := decodeChain(chain, d.OnChange)
		d.chains = append(d.chains, c)
		d.Chains = append(d.Chains, c.FilterChain)
	}
	if chain, ok := b.one("default_filter_chain"); ok {
		d.fallback = decodeChain(chain, d.OnChange)
		d.Default = d.fallback.FilterChain
	}
	if len(d.chains) == 0 && d.fallback == nil && b.complete() {
		b.errorf(b.at, "Listener without chains", "Every connection would be refused: add a filter_chain or a default_filter_chain with a route.")
	}
	l.listeners = append(l.listeners, d)
}

func readInspect(b *block, ln *Listener) {
	ln.InspectTimeout = b.duration("timeout", defaultInspectTimeout)
	ln.InspectMaxBytes = b.size("max_bytes", defaultInspectMaxBytes, minInspectMaxBytes, maxInspectMaxBytes)
}

// decodeAddresses reads address or addresses.
func (d *listenerDecl) decodeAddresses(b *block) {
	failures := b.failures
	add := func(s setting, a Address) {
		d.Addresses = append(d.Addresses, a)
		d.addressPlace = append(d.addressPlace, s.at)
	}
	switch {
	case b.has("address") && b.has("addresses"):
		b.errorf(b.attrs["addresses"].NameRange, "Address given twice", "address stands beside addresses: write all of them in addresses.")
	case b.has("addresses"):
		dir := b.directory("addresses")
		b.elements("addresses", func(s setting) {
			if a, ok := parseSetting(s, kindListen, func(text string) (Address, error) { return parseListen(text, dir) }); ok {
				add(s, a)
			}
		})
	default:
		dir := b.directory("address")
		if s, ok := b.setting("address"); ok {
			if a, ok := parseSetting(s, kindListen, func(text string) (Address, error) { return parseListen(text, dir) }); ok {
				add(s, a)
			}
		}
	}
	d.addressesBad = b.failures != failures
	d.hidden = b.hidden
	if len(d.Addresses) == 0 && !d.addressesBad {
		d.addressesBad = true
		if !b.complete() {
			return
		}
		b.errorf(b.at, "Missing address", "The listener %q has no address: write address = \":443\".", b.label)
	}
}

// directory is what relative paths in an attribute are relative to.
func (b *block) directory(name string) string {
	if !b.has(name) {
		return ""
	}
	return directoryOf(b.attrs[name].Range.Filename)
}

func decodeRefusal(b *block, name string) Refusal {
	switch b.word(name, "reset", "reset", "close", "tls_alert") {
	case "close":
		return RefuseClose
	case "tls_alert":
		return RefuseTLSAlert
	}
	return RefuseReset
}
