package proxy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func client(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1000)
}

func TestFewRefusalsHaveTheirOwnRecords(t *testing.T) {
	t.Parallel()
	var ta tally
	for i := range 5 * singleRefusals { // ten in each second
		now := time.Duration(i) * floodWindow / singleRefusals
		if single, due := ta.note(now, client(i)); !single || due != 0 {
			t.Fatalf("number %d, at %v: single %v, due %v", i, now, single, due)
		}
	}
	if f := ta.end(); f != nil {
		t.Errorf("a flood of %d", f.count)
	}
}

func TestTheRestOfASecondIsOneRecord(t *testing.T) {
	t.Parallel()
	var ta tally
	const began, step = 5 * time.Second, time.Millisecond
	for second := range 3 {
		start := began + time.Duration(second)*floodWindow
		for i := range 500 {
			now := start + time.Duration(i)*step
			single, due := ta.note(now, client(i%50))
			if want := i < singleRefusals; single != want {
				t.Fatalf("second %d, number %d: single %v, want %v", second, i, single, want)
			}
			wantDue := time.Duration(0)
			if i == singleRefusals {
				wantDue = start + floodWindow
			}
			if due != wantDue {
				t.Fatalf("second %d, number %d: due %v, want %v", second, i, due, wantDue)
			}
		}
		f := ta.end()
		if f == nil || f.count != 500-singleRefusals || f.first != client(singleRefusals) || f.distinct != 50 {
			t.Fatalf("second %d: flood %+v", second, f)
		}
	}
}

// TestAFloodEndsWhenItIsWritten, however late that is; and the next second
// begins with the next refusal, even one whose worker's clock is behind.
func TestAFloodEndsWhenItIsWritten(t *testing.T) {
	t.Parallel()
	var ta tally
	for range singleRefusals + 1 {
		ta.note(0, client(1))
	}
	if single, due := ta.note(3*floodWindow, client(1)); single || due != 0 {
		t.Errorf("before the late end: single %v, due %v", single, due)
	}
	if f := ta.end(); f.count != 2 || f.distinct != 1 {
		t.Errorf("flood %+v", f)
	}
	if single, due := ta.note(floodWindow/2, client(1)); !single || due != 0 {
		t.Errorf("after the end: single %v, due %v", single, due)
	}
}

func TestSourcesOfAFloodAreCountedUpToABound(t *testing.T) {
	t.Parallel()
	var f flood
	for i := range 10 * mostDistinct {
		f.add(client(i))
		if want := min(i+1, mostDistinct); f.distinct != want {
			t.Fatalf("after %d: %d distinct sources, want %d", i+1, f.distinct, want)
		}
	}
	f = flood{}
	for _, a := range []string{"[2001:db8::1]:1", "[2001:db8::2]:2", "[2001:db8:0:1::1]:1", "[::ffff:10.0.0.1]:1", "10.0.0.1:7"} {
		f.add(netip.MustParseAddrPort(a))
	}
	f.add(netip.AddrPort{})
	if f.count != 6 || f.distinct != 4 { // by /64, in one form, and one without an address
		t.Errorf("%d with %d sources, want 6 and 4", f.count, f.distinct)
	}
}

// TestEveryRefusalIsInOneRecord: however workers come upon each other, each is
// told of singly or in a flood, and each flood has one who writes it.
func TestEveryRefusalIsInOneRecord(t *testing.T) {
	t.Parallel()
	const workers, each = 4, 20_000
	var ta tally
	var mu sync.Mutex // guards what follows
	singles, floods, told := 0, 0, uint64(0)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			single, owns := 0, false
			write := func() {
				f := ta.end()
				mu.Lock()
				defer mu.Unlock()
				floods++
				told += f.count
			}
			for i := range each {
				now := time.Duration(i) * time.Millisecond
				one, due := ta.note(now, client(i))
				if one {
					single++
				}
				if due > 0 {
					owns = true
				}
				if owns && i%100 == 99 {
					owns = false
					write()
				}
			}
			if owns {
				write()
			}
			mu.Lock()
			singles += single
			mu.Unlock()
		})
	}
	wg.Wait()
	if uint64(singles)+told != workers*each {
		t.Errorf("%d singly and %d in %d floods, want %d together", singles, told, floods, workers*each)
	}
	if f := ta.end(); f != nil {
		t.Errorf("nobody wrote a flood of %d", f.count)
	}
}

// endRecord is what tests read of an end record.
type endRecord struct {
	Listener, Source, Destination, Flags, Error, Type string
	FilterChain                                       string `json:"filter_chain"`
	ID                                                uint64
	Count                                             uint64
	Sources                                           int
	Termination                                       struct{ Reason, Side string }
}

// nextEnd waits for a record.
func (s *recordSink) nextEnd(t *testing.T) (r endRecord) {
	t.Helper()
	line := s.next(t)
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

// TestFloodOfRefusals: nobody waits for the end of the second at the end of the
// gateway, and none is lost.
func TestFloodOfRefusals(t *testing.T) {
	const flood = 300
	g := startGateway(t, `
runtime { workers = 2 }
listener "full" {
  address         = "127.0.0.1:0"
  max_connections = 1
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	hold(t, dial(t, g.address("full")))
	began := time.Now()
	for range flood {
		expectRefused(t, g.address("full"), "127.0.0.1")
	}
	told, singles, floods := uint64(0), uint64(0), 0
	for told < flood {
		r := g.records.nextEnd(t)
		if r.Termination.Reason != "listener_limit" || r.Termination.Side != "gateway" || r.Flags != "OM" ||
			r.Type != "end" || r.Listener != "full" || r.Error == "" {
			t.Fatalf("record %+v", r)
		}
		if r.Count == 0 {
			told++
			singles++
			if r.ID == 0 || r.Source == "" || r.Destination != g.address("full") {
				t.Errorf("record %+v", r)
			}
			continue
		}
		told += r.Count
		floods++
		if r.Sources != 1 || r.Source == "" {
			t.Errorf("record %+v", r)
		}
	}
	if told != flood || floods == 0 {
		t.Errorf("%d were told of in %d floods, want %d", told, floods, flood)
	}
	if seconds := uint64(time.Since(began)/floodWindow) + 1; singles > singleRefusals*seconds {
		t.Errorf("in %d seconds %d of %d had a record of their own", seconds, singles, flood)
	}
	if n := g.refusals("full", "listener_limit"); n != flood {
		t.Errorf("%d were counted, want %d", n, flood)
	}
}

// TestFloodOfUntrustedPeers: who is not trusted to send a PROXY header is refused
// like somebody whom access does not let in, and floods the log no more.
func TestFloodOfUntrustedPeers(t *testing.T) {
	const flood = 300
	g := headerGateway(t, "20s", untrustedPeer)
	began := time.Now()
	for range flood {
		expectRefused(t, g.address("tcp"), "127.0.0.1")
	}
	told, records := uint64(0), uint64(0)
	for told < flood {
		r := g.records.nextEnd(t)
		if r.Termination.Reason != "proxy_header_untrusted" || r.Termination.Side != "gateway" || r.Flags != "LR" {
			t.Fatalf("record %+v", r)
		}
		told += max(r.Count, 1)
		records++
	}
	if most := (singleRefusals + 1) * (uint64(time.Since(began)/floodWindow) + 1); told != flood || records > most {
		t.Errorf("%d were told of in %d records, want %d in at most %d", told, records, flood, most)
	}
	if n := g.refusals("tcp", "proxy_header_untrusted"); n != flood {
		t.Errorf("%d were counted, want %d", n, flood)
	}
}

// TestFloodIsWrittenAtClose: what waits for the end of its second is written
// when the gateway ends before.
func TestFloodIsWrittenAtClose(t *testing.T) {
	const flood = 100
	g := startGateway(t, `
runtime { workers = 2 }
listener "denied" {
  address = "127.0.0.1:0"
  access { deny = ["127.0.0.0/8"] }
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = ["`+backend(t, echo)+`"] }
`)
	for i := range flood {
		expectRefused(t, g.address("denied"), fmt.Sprintf("127.0.1.%d", 1+i%20))
	}
	g.Close()
	told := uint64(0)
	for told < flood {
		r := g.records.nextEnd(t)
		if r.Termination.Reason != "access_denied" || r.Flags != "LR" {
			t.Fatalf("record %+v", r)
		}
		told += max(r.Count, 1)
		if r.Count > 20 && r.Sources != 20 {
			t.Errorf("%d sources among %d, want 20", r.Sources, r.Count)
		}
	}
	if n := g.refusals("denied", "access_denied"); told != flood || n != flood {
		t.Errorf("%d were told of and %d counted, want %d", told, n, flood)
	}
}

// TestFloodAtAFullCluster: those whom a cluster's limit refuses are told of in
// the same way.
func TestFloodAtAFullCluster(t *testing.T) {
	const flood = 100
	g := startGateway(t, `
runtime { workers = 2 }
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "echo" {
    route { cluster = "echo" }
  }
}
cluster "echo" {
  endpoints = ["`+backend(t, echo)+`"]
  limits { max_connections = 1 }
}
`)
	hold(t, dial(t, g.address("tcp")))
	for range flood {
		expectRefused(t, g.address("tcp"), "127.0.0.1")
	}
	told, floods := uint64(0), 0
	for told < flood {
		r := g.records.nextEnd(t)
		if r.Termination.Reason != "cluster_overflow" || r.Flags != "UO" || r.Listener != "tcp" {
			t.Fatalf("record %+v", r)
		}
		told += max(r.Count, 1)
		if r.Count > 0 {
			floods++
		}
	}
	if n := g.refusals("tcp", "cluster_overflow"); told != flood || floods == 0 || n != flood {
		t.Errorf("%d were told of in %d floods, %d were counted, want %d", told, floods, n, flood)
	}
}
