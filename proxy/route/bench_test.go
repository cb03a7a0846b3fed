package route

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// manyNames gives n chains with an exact name and a wildcard each, in
// depths as they occur: hostnames of three and four labels, wildcards of
// two to four.
func manyNames(n int) []Criteria {
	chains := make([]Criteria, (n+1)/2)
	for i := range chains {
		tenant := "tenant-" + strconv.Itoa(i) + []string{".example.com", ".eu.example.com", ".test"}[i%3]
		chains[i].ServerNames = []string{"www." + tenant, "*." + tenant}
	}
	return chains
}

// BenchmarkLookup asks for many names in turn, so that the caches are as
// cold as traffic for many tenants leaves them.
func BenchmarkLookup(b *testing.B) {
	f := func(name string, table *Table, wantFound bool, in *Input, names ...string) {
		b.Run(name, func(b *testing.B) {
			asked := make([][]byte, len(names))
			for i, name := range names {
				asked[i] = []byte(name)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				in.ServerName = asked[i]
				if found := table.Lookup(in) >= 0; found != wantFound {
					b.Fatalf("%q: found is %v", in.ServerName, found)
				}
				if i++; i == len(asked) {
					i = 0
				}
			}
		})
	}
	browser := on(alpn("h2", "http/1.1"))
	for _, n := range []int{10, 1000, 100_000} {
		chains := manyNames(n)
		table := New(chains, false)
		var exact, wildcard, miss []string
		for i := 0; i < len(chains); i += 1 + n/2048 {
			name := chains[i].ServerNames[0]
			exact = append(exact, name)
			wildcard = append(wildcard, "api.v1."+name[len("www."):])
			miss = append(miss, "www.elsewhere-"+strconv.Itoa(i)+".example.org")
		}
		f(fmt.Sprintf("exact/names=%d", n), table, true, browser, exact...)
		f(fmt.Sprintf("wildcard/names=%d", n), table, true, browser, wildcard...)
		f(fmt.Sprintf("miss/names=%d", n), table, false, browser, miss...)
		f(fmt.Sprintf("127labels/names=%d", n), table, false, browser, hostileName)
	}

	nameless := make([]Criteria, 1000)
	for i := range nameless {
		addr := netip.AddrFrom4([4]byte{172, byte(i >> 8), byte(i), 1})
		nameless[i].SourcePrefixes = []netip.Prefix{netip.PrefixFrom(addr, 32)}
	}
	f("nameless/chains=1000", New(nameless, false), false, on(), "a.test")
	f("nameless/chains=1000/named-wins", New(append(nameless, names("a.test")), false), true, on(), "a.test")

	flood := on()
	for range 8000 {
		flood.ALPN = flood.ALPN.Append("x")
	}
	protocols := New([]Criteria{{ApplicationProtocols: []string{"h2"}}, {ApplicationProtocols: []string{"http/1.1"}}}, false)
	f("alpn-flood-16KiB", protocols, false, flood, "a.test")
}

func BenchmarkNeedsHello(b *testing.B) {
	chains := manyNames(100_000)
	for i := range chains {
		chains[i].DestinationPort = 443
	}
	table, in := New(chains, false), on(to("192.0.2.1:25"))
	b.ReportAllocs()
	for b.Loop() {
		if table.NeedsHello(in.Destination, in.DirectSource, in.Source) {
			b.Fatal("needs the hello on a port without names")
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		chains := manyNames(n)
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(chains, false)
			}
		})
	}
}

// TestSizeOfManyNames bounds what a table holds besides the configuration's
// own strings. Not parallel: it reads the heap of the whole process.
func TestSizeOfManyNames(t *testing.T) {
	chains := manyNames(100_000)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, start := heap(), time.Now()
	table := New(chains, false)
	took, size := time.Since(start), heap()-before
	runtime.KeepAlive(table)
	runtime.KeepAlive(chains)
	t.Logf("100,000 names in 50,000 chains: %.1f MB, built in %v", float64(size)/1e6, took)
	if size > 20e6 {
		t.Errorf("the table of 100,000 names holds %d bytes, want at most 20 MB", size)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	chains := append(manyNames(1000),
		Criteria{DestinationPort: 443, ApplicationProtocols: []string{"h3", "http/1.1"}, SourcePrefixes: somePrefixes},
		Criteria{Transport: TLS, SourcePorts: []uint16{5000}, DestinationPrefixes: prefixList("192.0.2.0/24")})
	table := New(chains, false)
	f := func(name string, in *Input) {
		t.Helper()
		allocs := testing.AllocsPerRun(100, func() {
			table.Lookup(in)
			table.NeedsHello(in.Destination, in.DirectSource, in.Source)
			table.LookupRaw(in.Destination, in.DirectSource, in.Source)
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	f("exact", on(sni("www.tenant-0.example.com")))
	f("wildcard", on(sni("api.v1.tenant-0.example.com")))
	f("miss", on(sni("a.test"), to("198.51.100.1:1")))
	f("127 labels", on(sni(hostileName)))
	f("no name, protocols", on(alpn("h2", "http/1.1")))
	f("IPv6 with a zone", on(sni("a.test"), from("[fe80::1%eth0]:5000"), alpn("http/1.1")))
}
