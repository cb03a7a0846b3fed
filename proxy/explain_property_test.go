package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy/status"
	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello"
	"sluice/tlsutil/clienthello/hellotest"
)

var (
	explainSeed = flag.Uint64("explain.seed", 0, "of TestExplainIsWhatHappens; 0: a random one")
	explainTime = flag.Duration("explain.time", 3*time.Second, "how long TestExplainIsWhatHappens tries configurations")
)

// connectionsEach is how many connections a configuration gets: of more refusals
// than ten in a second not each has a record of its own.
const connectionsEach = 10

// TestExplainIsWhatHappens holds, over random configurations and clients, that
// what is explained is what happens to a real connection: the endpoint that
// answers is one that was to be first, and a client that is turned away sees
// what was foretold. The record says the same of chain, TLS, hello and reason.
func TestExplainIsWhatHappens(t *testing.T) {
	seed := *explainSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-explain.seed %d", seed)
	w := newWorld(t)
	until, seen := time.Now().Add(*explainTime), make(map[string]int)
	for n := uint64(0); n < 20 || time.Now().Before(until); n++ {
		rnd := rand.New(rand.NewPCG(seed, n))
		t.Run(fmt.Sprint(n), func(t *testing.T) { w.try(t, rnd, seen) })
		if t.Failed() {
			return
		}
	}
	t.Log(seen)
	// A generator that has come to make only one kind of configuration would
	// show nothing.
	for _, what := range []string{"forward", "reset", "passthrough", "terminated", "none", "no_filter_chain_match", "malformed_hello"} {
		if seen[what] == 0 {
			t.Errorf("nothing that was tried came to %q", what)
		}
	}
}

// world is what configurations are made of.
type world struct {
	backends  []string
	ca        *certgen.Authority
	cert, key string
	vectors   []hellotest.Vector
}

// Names that are asked for, and names that chains have.
var (
	askedNames  = []string{"", "a.test", "A.Test", "b.test", "x.a.test", "y.x.a.test", "other.example"}
	chainNames  = []string{"a.test", "b.test", "x.a.test", "*.test", "*.a.test", "*.x.a.test"}
	protocols   = []string{"h2", "http/1.1", "acme"}
	sources     = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.1.1"}
	sourceNets  = []string{"127.0.0.0/8", "127.0.0.0/30", "127.0.0.2/32", "127.0.0.3/32", "127.0.1.0/24", "0.0.0.0/0"}
	refusalWays = []string{"reset", "close", "tls_alert"}
)

func newWorld(t *testing.T) *world {
	w := &world{ca: certgen.NewAuthority("explain")}
	for range 5 {
		own := backend(t, func(c net.Conn) {
			defer c.Close()
			io.WriteString(c, c.LocalAddr().String()+"\n")
			io.Copy(io.Discard, c)
		})
		w.backends = append(w.backends, own)
	}
	var err error
	if w.cert, w.key, err = w.ca.WriteFiles(t.TempDir(), "all", certgen.Options{Names: chainNames}); err != nil {
		t.Fatal(err)
	}
	for _, v := range hellotest.Vectors() {
		if v.Want != clienthello.NeedMore && len(v.Bytes) < 64<<10 {
			w.vectors = append(w.vectors, v)
		}
	}
	return w
}

// some gives a few elements of a list, in its order, most often one or two.
func some(rnd *rand.Rand, list []string) []string {
	var chosen []string
	for _, i := range slices.Sorted(slices.Values(rnd.Perm(len(list))[:1+rnd.IntN(1+rnd.IntN(len(list)))])) {
		chosen = append(chosen, list[i])
	}
	return chosen
}

func one(rnd *rand.Rand, list []string) string { return list[rnd.IntN(len(list))] }

func hclList(list []string) string { return `["` + strings.Join(list, `", "`) + `"]` }

// configuration writes a random one. Not each is valid: chains may tie.
func (w *world) configuration(rnd *rand.Rand) string {
	var b strings.Builder
	host := fmt.Sprintf("127.77.%d.%d", rnd.IntN(256), 1+rnd.IntN(254))
	fmt.Fprint(&b, "runtime { workers = 1 }\n")
	fmt.Fprintf(&b, "listener \"l\" {\n  addresses = [\"%s:20001\", \"%s:20002\"]\n", host, host)
	fmt.Fprintf(&b, "  on_no_match = %q\n", one(rnd, refusalWays))
	if rnd.IntN(3) == 0 {
		fmt.Fprintf(&b, "  proxy_protocol {\n    mode = %q\n    trusted = %s\n  }\n", one(rnd, []string{"require", "optional"}), hclList(some(rnd, sourceNets[1:4])))
	}
	if rnd.IntN(6) == 0 {
		fmt.Fprintf(&b, "  access { deny = %s }\n", hclList(some(rnd, sourceNets[2:4])))
	}
	chains := rnd.IntN(5)
	for i := range chains {
		fmt.Fprintf(&b, "  filter_chain \"c%d\" {\n%s", i, w.match(rnd, host))
		w.chain(&b, rnd)
	}
	if chains == 0 || rnd.IntN(3) == 0 {
		fmt.Fprint(&b, "  default_filter_chain {\n")
		w.chain(&b, rnd)
	}
	fmt.Fprint(&b, "}\n")
	for i := range 4 {
		w.cluster(&b, rnd, i)
	}
	return b.String()
}

// match writes a match block; some chains have none.
func (w *world) match(rnd *rand.Rand, host string) string {
	var b strings.Builder
	add := func(chance int, format string, args ...any) {
		if rnd.IntN(chance) == 0 {
			fmt.Fprintf(&b, "      "+format+"\n", args...)
		}
	}
	add(2, "server_names = %s", hclList(some(rnd, chainNames)))
	add(4, "application_protocols = %s", hclList(some(rnd, protocols)))
	add(4, "transport_protocol = %q", one(rnd, []string{"tls", "tls", "raw_buffer"}))
	add(4, "destination_port = %d", 20001+rnd.IntN(2))
	add(4, "destination_prefix_ranges = %s", hclList(some(rnd, []string{"127.77.0.0/16", host + "/32", "0.0.0.0/0"})))
	add(3, "source_prefix_ranges = %s", hclList(some(rnd, sourceNets)))
	add(6, "direct_source_prefix_ranges = %s", hclList(some(rnd, sourceNets)))
	add(8, "source_ports = [%d]", 1000+rnd.IntN(3))
	if b.Len() == 0 {
		return ""
	}
	return "    match {\n" + b.String() + "    }\n"
}

// chain writes the rest of a chain.
func (w *world) chain(b *strings.Builder, rnd *rand.Rand) {
	if rnd.IntN(8) == 0 {
		fmt.Fprintf(b, "    access { deny = %s }\n", hclList(some(rnd, sourceNets[2:4])))
	}
	if rnd.IntN(4) == 0 {
		fmt.Fprintf(b, "    tls {\n      certificate {\n        cert_file = %q\n        key_file = %q\n      }\n", w.cert, w.key)
		if rnd.IntN(2) == 0 {
			fmt.Fprintf(b, "      alpn_protocols = %s\n", hclList(some(rnd, protocols)))
		}
		fmt.Fprint(b, "    }\n")
	}
	fmt.Fprintf(b, "    on_upstream_failure = %q\n    route {\n", one(rnd, refusalWays))
	if rnd.IntN(2) == 0 {
		fmt.Fprintf(b, "      cluster = \"k%d\"\n", rnd.IntN(4))
	} else {
		for _, k := range rnd.Perm(4)[:1+rnd.IntN(3)] {
			fmt.Fprintf(b, "      weighted_cluster \"k%d\" { weight = %d }\n", k, 1+rnd.IntN(3))
		}
		if rnd.IntN(2) == 0 {
			fmt.Fprintf(b, "      hash_on = %q\n", one(rnd, []string{"source_ip", "server_name"}))
		}
	}
	fmt.Fprint(b, "    }\n  }\n")
}

func (w *world) cluster(b *strings.Builder, rnd *rand.Rand, i int) {
	fmt.Fprintf(b, "cluster \"k%d\" {\n", i)
	policy := one(rnd, []string{"least_connections", "round_robin", "random", "maglev", "first"})
	fmt.Fprintf(b, "  lb_policy = %q\n", policy)
	if policy == "maglev" {
		fmt.Fprintf(b, "  hash_on = %q\n", one(rnd, []string{"source_ip", "server_name"}))
	}
	if rnd.IntN(8) == 0 {
		fmt.Fprint(b, "  discovery \"file\" { path = \"/nonexistent/endpoints.json\" }\n}\n")
		return
	}
	for j, at := range rnd.Perm(len(w.backends))[:1+rnd.IntN(3)] {
		fmt.Fprintf(b, "  endpoint %q {\n    name = \"e%d\"\n    weight = %d\n    priority = %d\n  }\n", w.backends[at], j, 1+rnd.IntN(3), rnd.IntN(2))
	}
	switch rnd.IntN(4) {
	case 0:
		fmt.Fprint(b, "  proxy_protocol { tlvs = [\"authority\", \"alpn\", \"unique_id\", \"ssl\", \"crc32c\"] }\n")
	case 1:
		fmt.Fprint(b, "  proxy_protocol { version = 1 }\n")
	}
	fmt.Fprint(b, "}\n")
}

// try runs a random configuration and connects to it.
func (w *world) try(t *testing.T, rnd *rand.Rand, seen map[string]int) {
	var hcl string
	var cfg *config.Config
	for cfg == nil {
		hcl = w.configuration(rnd)
		cfg, _ = config.LoadSource("test.hcl", []byte(hcl), config.Options{})
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(hcl)
		}
	})
	plan, err := NewPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := startGatewayWith(t, hcl, zerolog.Nop())
	var trials []*trial
	for range connectionsEach {
		v := w.trial(rnd, cfg)
		v.expect(t, g, plan)
		v.connect(t)
		if err := g.awaitIdle(t.Context()); err != nil { // so that the next one finds nobody
			t.Fatal(err)
		}
		trials = append(trials, v)
	}
	for _, v := range trials { // they had one worker, so the records are in order
		v.compare(t, g.records.next(t))
		for _, what := range []string{v.want.Outcome, v.want.TLS, v.want.Reason} {
			seen[what]++
		}
		if t.Failed() {
			t.Fatalf("the question was %s", toJSON(v.q))
		}
	}
}

func toJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

// trial is a connection of a random client.
type trial struct {
	w     *world
	q     status.Question
	want  status.Explanation
	local netip.Addr // from where it is connected
	to    string
	head  []byte // a PROXY header
	hello []byte
	early bool // it says its hello even where nobody waits for it

	speaksFirst bool // the listener may have to see that there is no header

	// What it saw.
	got      []byte
	ending   error
	answered string // by which backend
}

func (w *world) trial(rnd *rand.Rand, cfg *config.Config) *trial {
	v := &trial{w: w, local: netip.MustParseAddr(one(rnd, sources)), early: rnd.IntN(2) == 0}
	at := cfg.Listeners[0].Addresses[rnd.IntN(2)].AddrPort
	v.to = at.String()
	v.q = status.Question{Listener: "l", Source: v.local.String(), DirectSource: v.local.String(), Destination: v.to}
	if cfg.Listeners[0].ProxyProtocol != nil && rnd.IntN(2) == 0 {
		source := netip.AddrPortFrom(netip.MustParseAddr(one(rnd, sources)), uint16(1000+rnd.IntN(4)))
		if source.Addr() == v.local { // that would be the same question as one without a header
			source = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), source.Port())
		}
		destination := netip.AddrPortFrom(at.Addr(), uint16(20001+rnd.IntN(3)))
		v.q.Source, v.q.Destination = source.String(), destination.String()
		v.head = fmt.Appendf(nil, "PROXY TCP4 %s %s %d %d\r\n", source.Addr(), destination.Addr(), source.Port(), destination.Port())
	}
	if cfg.Listeners[0].ProxyProtocol == nil {
		v.q.DirectSource = ""
	}
	v.speaksFirst = cfg.Listeners[0].ProxyProtocol != nil && len(v.head) == 0
	switch rnd.IntN(6) {
	case 0: // whatever a hostile client may say
		vector := w.vectors[rnd.IntN(len(w.vectors))]
		v.hello = vector.Bytes
		if vector.Want == clienthello.NotTLS {
			// Too little for a TLS record ends at the deadline, where TLS is
			// terminated.
			v.hello = append(slices.Clip(v.hello), "\r\n\r\n\r\n"...)
		}
		v.q.Hello = v.hello
	case 1:
		v.hello = []byte("something else\r\n")
	default:
		b := hellotest.Builder{}
		if name := one(rnd, askedNames); name != "" {
			b.ServerNames, v.q.ServerName = []string{name}, name
		}
		if rnd.IntN(2) == 0 {
			b.ALPN = some(rnd, protocols)
			v.q.ApplicationProtocols = b.ALPN
		}
		v.q.TransportProtocol = "tls"
		v.hello = b.Records()
		if rnd.IntN(2) == 0 {
			v.q = status.Question{Listener: "l", Source: v.q.Source, DirectSource: v.q.DirectSource, Destination: v.q.Destination, Hello: v.hello}
		}
	}
	return v
}

// expect asks the gateway, and holds that the configuration alone gives the same
// answer: nobody else is connected.
func (v *trial) expect(t *testing.T, g *gatewayUnderTest, plan *Plan) {
	t.Helper()
	var err error
	if v.want, err = g.Explain(v.q); err != nil {
		t.Fatalf("%s: %v", toJSON(v.q), err)
	}
	if v.handshakes() && len(v.q.Hello) > 0 {
		// Nobody has the keys to that hello: one with the same names is asked
		// for, and said by who has.
		v.q = v.want.Question
		v.q.Hello = nil
		v.expect(t, g, plan)
		return
	}
	planned, err := plan.Explain(v.q)
	if err != nil {
		t.Fatalf("%s: %v", toJSON(v.q), err)
	}
	// But for endpoints that are looked up, which only a gateway does.
	if planned.Outcome != v.want.Outcome && v.want.Reason == reasonNoEndpoint.String() {
		return
	}
	v.holdsTogether(t, g.snapshot.Load().listeners[0].spec)
	live := v.want
	if live.Clusters, live.Sent = nil, nil; len(planned.Clusters) != len(v.want.Clusters) {
		t.Errorf("the plan has the clusters %v, the gateway %v", planned.Clusters, v.want.Clusters)
	}
	planned.Clusters, planned.Sent = nil, nil
	// The hellos that are made of names differ in what is random.
	if toJSON(planned) != toJSON(live) {
		t.Errorf("the plan says\n%s\nthe gateway says\n%s", toJSON(planned), toJSON(live))
	}
}

// holdsTogether holds one part of an explanation against the others: the verdicts
// say which chain has won, and of weighted clusters a known source leaves one.
func (v *trial) holdsTogether(t *testing.T, spec *config.Listener) {
	t.Helper()
	for _, verdict := range v.want.Chains {
		if verdict.Won != (verdict.FilterChain == v.want.FilterChain) {
			t.Errorf("the chain is %q, and the verdicts are %s", v.want.FilterChain, toJSON(v.want.Chains))
		}
	}
	for _, ch := range append(spec.Chains[:len(spec.Chains):len(spec.Chains)], spec.Default) {
		if ch != nil && ch.Name == v.want.FilterChain && ch.Route.HashOn == config.HashSourceIP && len(v.want.Clusters) > 1 {
			t.Errorf("a hash of the source leaves %s", toJSON(v.want.Clusters))
		}
	}
}

// connect is the client.
func (v *trial) connect(t *testing.T) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: v.local.AsSlice()}, Timeout: 10 * time.Second}
	c, err := d.Dial("tcp4", v.to)
	if errors.Is(err, syscall.ECONNRESET) { // faster than the dialer looks
		v.ending = err
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	v.say(c, v.head)
	if v.handshakes() {
		c = tls.Client(c, &tls.Config{ServerName: v.q.ServerName, NextProtos: v.want.Question.ApplicationProtocols, InsecureSkipVerify: true})
	} else if v.want.HelloNeeded || v.early || v.speaksFirst || len(v.want.Clusters) == 0 {
		v.say(c, v.hello)
	}
	answer := make([]byte, 64)
	for v.ending == nil && !bytes.HasSuffix(v.got, []byte("\n")) && len(v.got) < len(answer) {
		n, err := c.Read(answer[len(v.got):])
		v.got, v.ending = append(v.got, answer[len(v.got):len(v.got)+n]...), err
	}
	v.answered = strings.TrimSuffix(string(v.got), "\n")
}

// say writes what the client says. One that is turned away meanwhile may learn it
// here: the kernel reports a reset once.
func (v *trial) say(c net.Conn, b []byte) {
	if len(b) == 0 || v.ending != nil {
		return
	}
	if _, err := c.Write(b); errors.Is(err, syscall.ECONNRESET) {
		v.ending = err
	}
}

// handshakes tells whether the client has to shake hands with the gateway before
// its cluster matters.
func (v *trial) handshakes() bool { return v.want.TLS == "terminated" && len(v.want.Clusters) > 0 }

// seenRecord is what of a record is compared.
type seenRecord struct {
	Chain    string `json:"filter_chain"`
	TLS      string `json:"tls"`
	Hello    string `json:"hello"`
	Cluster  string `json:"cluster"`
	Endpoint string `json:"endpoint"`
	End      struct {
		Reason string `json:"reason"`
	} `json:"termination"`
}

// compare holds what was foretold against what happened.
func (v *trial) compare(t *testing.T, line string) {
	t.Helper()
	var r seenRecord
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatal(err)
	}
	x := &v.want
	if r.Chain != x.FilterChain || r.TLS != x.TLS || r.Hello != x.Hello {
		t.Errorf("explained: chain %q, tls %q, hello %q; the record is\n%s", x.FilterChain, x.TLS, x.Hello, line)
	}
	if len(x.Clusters) == 0 {
		v.compareRefusal(t, x.Outcome, x.Reason, &r, line)
		return
	}
	i := slices.IndexFunc(x.Clusters, func(a status.Alternative) bool { return a.Cluster == r.Cluster })
	if i < 0 {
		t.Errorf("explained: one of the clusters in %s; the record is\n%s", toJSON(x.Clusters), line)
		return
	}
	chosen := &x.Clusters[i]
	if chosen.Outcome != "forward" {
		v.compareRefusal(t, chosen.Outcome, chosen.Reason, &r, line)
		return
	}
	if !slices.ContainsFunc(chosen.Endpoints, func(cand status.Candidate) bool {
		return cand.Rank == 1 && cand.Endpoint == r.Endpoint && cand.Address == v.answered
	}) {
		t.Errorf("explained: the first of %s; %q answered (%v), and the record is\n%s", toJSON(chosen), v.answered, v.ending, line)
	}
}

func (v *trial) compareRefusal(t *testing.T, outcome, reason string, r *seenRecord, line string) {
	t.Helper()
	if r.End.Reason != reason {
		t.Errorf("explained: ends for %q; the record is\n%s", reason, line)
	}
	if saw := v.sawRefusal(); saw != outcome && !(v.handshakes() && outcome == "tls_alert") {
		t.Errorf("explained: the client sees a %s; it saw %s (%q, %v), and the record is\n%s", outcome, saw, v.got, v.ending, line)
	}
}

// sawRefusal says how the client was turned away.
func (v *trial) sawRefusal() string {
	switch {
	case len(v.got) == 0 && errors.Is(v.ending, syscall.ECONNRESET):
		return "reset"
	case len(v.got) == 0 && v.ending == io.EOF:
		return "close"
	case len(v.got) == 7 && v.got[0] == recordAlert && v.ending == io.EOF:
		return "tls_alert"
	}
	return "something else"
}
