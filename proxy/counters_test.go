package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/proxy/status"
	"sluice/proxy/upstream"
)

// tale is what access records say, by the names under which it is counted.
type tale map[string]int64

// add takes one end record.
func (ta tale) add(t *testing.T, line string) (connections int) {
	t.Helper()
	var r struct {
		Listener    string
		FilterChain string `json:"filter_chain"`
		Cluster     string
		Hello       string
		Count       int
		Received    int64    `json:"bytes_received"`
		Sent        int64    `json:"bytes_sent"`
		Queue       *float64 `json:"queue_ms"`
		Handshake   *float64 `json:"handshake_ms"`
		Version     string   `json:"tls_version"`
		Attempts    []struct{ Result string }
		Termination struct{ Reason, Side string }
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Errorf("%v: %s", err, line)
	}
	n := int64(max(r.Count, 1)) // more where one record is for many
	ta[fmt.Sprintf("listener %s: ended %s by %s", r.Listener, r.Termination.Reason, r.Termination.Side)] += n
	carried := func(what string) {
		ta[what+": connections"] += n
		ta[what+": received"] += r.Received
		ta[what+": sent"] += r.Sent
	}
	carried("listener " + r.Listener)
	if r.Hello != "" {
		ta[fmt.Sprintf("listener %s: hello %s", r.Listener, r.Hello)]++
	}
	if r.Version != "" {
		ta[fmt.Sprintf("listener %s: handshakes", r.Listener)]++
	}
	if r.FilterChain != "" {
		carried("chain " + r.Listener + "/" + r.FilterChain)
	}
	if r.Cluster != "" {
		carried("way " + r.Listener + "/" + r.FilterChain + "/" + r.Cluster)
		carried("cluster " + r.Cluster)
	}
	if r.Queue != nil {
		ta["cluster "+r.Cluster+": queued"]++
	}
	for _, a := range r.Attempts {
		result := a.Result
		if !slices.Contains(attemptWords[:], result) {
			result = "other"
		}
		ta["cluster "+r.Cluster+": attempt "+result]++
		if strings.HasPrefix(result, "early_") {
			ta["cluster "+r.Cluster+": attempt connected"]++
		}
	}
	return int(n)
}

// counted is the same from the counters.
func counted(c Counters) tale {
	ta := make(tale)
	carried := func(what string, t status.Traffic) {
		ta[what+": connections"] += int64(t.Connections)
		ta[what+": received"] += int64(t.BytesReceived)
		ta[what+": sent"] += int64(t.BytesSent)
		ta[what+": active"] += t.Active
	}
	for _, ln := range c.Listeners {
		name := "listener " + ln.Name
		carried(name, ln.Traffic)
		for _, h := range ln.Hellos {
			ta[name+": hello "+h.Word] += int64(h.Count)
		}
		for _, e := range ln.Terminations {
			ta[name+": ended "+e.Reason+" by gateway"] += int64(e.Gateway)
			ta[name+": ended "+e.Reason+" by downstream"] += int64(e.Downstream)
			ta[name+": ended "+e.Reason+" by upstream"] += int64(e.Upstream)
		}
		ta[name+": handshakes"] += int64(ln.Handshake.Count)
		for _, ch := range ln.Chains {
			carried("chain "+ln.Name+"/"+ch.Name, ch.Traffic)
			for _, d := range ch.Destinations {
				carried("way "+ln.Name+"/"+ch.Name+"/"+d.Cluster, d.Traffic)
			}
		}
	}
	for _, cl := range c.Clusters {
		name := "cluster " + cl.Name
		carried(name, cl.Traffic)
		ta[name+": queued"] += int64(cl.Queued)
		for _, a := range append(cl.Attempts, cl.Replays...) {
			ta[name+": attempt "+a.Word] += int64(a.Count)
		}
	}
	return ta
}

// compare tells where two tales differ; what is not in one is 0.
func (ta tale) compare(t *testing.T, records tale) {
	t.Helper()
	both := maps.Clone(ta)
	maps.Copy(both, records)
	for _, what := range slices.Sorted(maps.Keys(both)) {
		if ta[what] != records[what] {
			t.Errorf("%s: counted %d, and the records say %d", what, ta[what], records[what])
		}
	}
}

// TestCountersAddUp: after connections of all kinds, ended in every way and at
// every time, the counters say exactly what the records say.
func TestCountersAddUp(t *testing.T) {
	ch, g := startChaos(t, 32)
	seen, records := make(tale), 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for line := range g.records.lines {
			records += seen.add(t, line)
		}
	}()
	lowest := g.Counters()
	for end := time.Now().Add(20 * time.Second); ch.visits.Load() < 1000 && time.Now().Before(end); { // while they are counted
		now := g.Counters()
		onlyGrows(t, counted(lowest), counted(now))
		lowest = now
		<-time.After(10 * time.Millisecond)
	}
	ch.end()
	g.Close()
	close(g.records.lines)
	<-done
	c := g.Counters()
	if s := c.Process; s.RecordsDropped != 0 || s.Accepted != uint64(records) || records < 100 {
		t.Errorf("of %d connections there are records of %d, %d dropped", s.Accepted, records, s.RecordsDropped)
	}
	counted(c).compare(t, seen)

	var endpoints status.Traffic
	for _, cl := range c.Clusters {
		for _, e := range cl.Endpoints {
			addBytes(&endpoints, e.Traffic)
			if e.Traffic.Active != 0 {
				t.Errorf("endpoint %s of %s still has %d", e.Address, cl.Name, e.Traffic.Active)
			}
		}
		if n := cl.Connect.Count; n != count0(cl.Attempts, "connected") {
			t.Errorf("%s: %d times of connecting, %d connected", cl.Name, n, count0(cl.Attempts, "connected"))
		}
	}
	if endpoints.BytesSent != uint64(seen["listener tls: sent"]) {
		t.Errorf("endpoints have sent %d bytes, and the records say %d", endpoints.BytesSent, seen["listener tls: sent"])
	}
}

func count0(list []Count, word string) uint64 {
	for _, c := range list {
		if c.Word == word {
			return c.Count
		}
	}
	panic("no word " + word)
}

// onlyGrows: nobody who scrapes may take a counter for one that has begun anew.
func onlyGrows(t *testing.T, before, after tale) {
	t.Helper()
	for what, n := range before {
		if after[what] < n && !strings.HasSuffix(what, ": active") {
			t.Errorf("%s: %d, after %d", what, after[what], n)
		}
		if after[what] < 0 {
			t.Errorf("%s: %d", what, after[what])
		}
	}
}

// TestBytesAreCountedAsTheyFlow, and not only at a connection's end; and the sums
// are the same at every place.
func TestBytesAreCountedAsTheyFlow(t *testing.T) {
	g := startGateway(t, loadConfig(t, backend(t, echo)))
	c := dial(t, g.address("tls"))
	hello := string(helloFor("passed.test"))
	want := status.Traffic{Active: 1, Connections: 1}
	for _, said := range []string{hello, "a", strings.Repeat("x", 100_000)} {
		go c.Write([]byte(said)) // more than buffers hold
		for n := 0; n < len(said); {
			got, err := c.Read(make([]byte, 64<<10))
			if err != nil {
				t.Fatal(err)
			}
			n += got
		}
		want.BytesReceived += uint64(len(said))
		want.BytesSent += uint64(len(said))
		eventually(t, func() error {
			all := g.Counters()
			for what, got := range map[string]status.Traffic{
				"listener": all.Listeners[0].Traffic, "chain": all.Listeners[0].Chains[0].Traffic,
				"way":     all.Listeners[0].Chains[0].Destinations[0].Traffic,
				"cluster": all.Clusters[0].Traffic, "endpoint": all.Clusters[0].Endpoints[0].Traffic,
			} {
				if got != want {
					return fmt.Errorf("the %s has %+v, want %+v", what, got, want)
				}
			}
			return nil
		})
	}
}

// TestReplayIsCountedOnce: a hello that goes to a second endpoint has come from
// the client once.
func TestReplayIsCountedOnce(t *testing.T) {
	early := backend(t, func(c net.Conn) {
		io.CopyN(io.Discard, c, int64(len(testHello)))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	})
	g := tlsTo(t, fmt.Sprintf("lb_policy = \"first\"\nendpoints = [%q, %q, %q]", refusing(t), early, backend(t, echo)))
	c := dial(t, g.address("in"))
	if err := roundTrip(c, string(testHello)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	g.records.next(t)
	eventually(t, func() error {
		all := g.Counters()
		cl := all.Clusters[0]
		size := uint64(len(testHello))
		want := status.Traffic{Connections: 1, BytesReceived: size, BytesSent: size}
		if cl.Traffic != want || all.Listeners[0].Traffic != want {
			return fmt.Errorf("the cluster has %+v, the listener %+v, want %+v", cl.Traffic, all.Listeners[0].Traffic, want)
		}
		got := fmt.Sprint(cl.Retries, cl.Attempts, cl.Replays)
		if !strings.HasPrefix(got, "2 [{other 0} {connected 2} {refused 1} {timeout 0} ") || !strings.HasSuffix(got, " [{early_reset 1} {early_close 0}]") {
			return fmt.Errorf("retries and attempts are %s", got)
		}
		return nil
	})
}

// TestCountersOutliveASnapshot: what keeps its name keeps its counts; what is gone
// stays in the sums, and goes on where it was when it comes back.
func TestCountersOutliveASnapshot(t *testing.T) {
	t.Parallel()
	r := newRegistry(2)
	build := func(chains ...string) *snapshot {
		s := &snapshot{clusters: map[string]*cluster{}}
		ln := &listener{name: "l"}
		for _, name := range chains {
			ch := &chain{name: name}
			for _, to := range []string{"x", "y"} {
				if s.clusters[to] == nil {
					s.clusters[to] = compileTestCluster(to)
				}
				ch.clusters = append(ch.clusters, s.clusters[to])
			}
			ln.chains = append(ln.chains, ch)
		}
		s.listeners = []*listener{ln}
		r.attach(s)
		return s
	}
	first := build("a", "b")
	add(&first.listeners[0].chains[0].way(first.clusters["x"])[0].received, 5)
	add(&first.listeners[0].chains[1].way(first.clusters["y"])[1].received, 7)
	count(&first.clusters["x"].counters.cells[1].retries)
	second := build("a")
	add(&first.listeners[0].chains[1].way(first.clusters["y"])[1].received, 1) // of one that lives on
	sums := r.sums()
	if got := sums.listeners["l"].BytesReceived; got != 13 {
		t.Errorf("the listener has %d bytes", got)
	}
	if got := sums.clusters["y"].BytesReceived; got != 8 {
		t.Errorf("cluster y has %d bytes", got)
	}
	if got := sums.chains[second.listeners[0].chains[0].counters].BytesReceived; got != 5 {
		t.Errorf("chain a has %d bytes", got)
	}
	if got := second.clusters["x"].counters.cells[1].retries.Load(); got != 1 {
		t.Errorf("cluster x has %d retries", got)
	}
	third := build("b")
	if got := r.sums().chains[third.listeners[0].chains[0].counters].BytesReceived; got != 8 {
		t.Errorf("chain b has come back with %d bytes", got)
	}
}

func compileTestCluster(name string) *cluster {
	return &cluster{Cluster: upstream.NewCluster(name, nil)}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var cell histogramCell
	for _, d := range []time.Duration{0, 250 * time.Microsecond, 251 * time.Microsecond, 3 * time.Millisecond, 10 * time.Second, time.Minute} {
		cell.observe(d)
	}
	h := newHistogram()
	cell.read(&h)
	if h.Count != 6 || h.Sum < 70.003 || h.Sum > 70.004 {
		t.Errorf("%d, together %v s", h.Count, h.Sum)
	}
	var counts []uint64
	for i, b := range h.Buckets {
		counts = append(counts, b.Count)
		if i > 0 && b.Seconds <= h.Buckets[i-1].Seconds {
			t.Errorf("bucket %v comes after %v", b.Seconds, h.Buckets[i-1].Seconds)
		}
	}
	if want := []uint64{2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5}; !slices.Equal(counts, want) {
		t.Errorf("buckets %v, want %v", counts, want)
	}
}
