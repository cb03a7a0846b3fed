package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/tlsutil/clienthello/hellotest"
)

const (
	reloads     = 200
	reloadsTake = 60 * time.Second
	longOnes    = 500
	steadyOnes  = 4                    // clients that connect one after the other
	steadyPause = 2 * time.Millisecond // of each, so that other tests get on, too
)

// reloadedConfig is the i-th configuration of a gateway that is reloaded again
// and again: names of chains, timeouts, limits, policies, endpoints, routes and
// listeners differ, and what the steady clients ask for is always there. on are
// the addresses of the listeners that stay.
func reloadedConfig(i int, plain, tls string, endpoints []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin { address = \"unix:admin.sock\" }\naccess_log { enabled = false }\nlog { level = %q }\n", []string{"info", "debug"}[i%2])
	fmt.Fprintf(&b, `
listener "plain" {
  address         = %q
  max_connections = %d
  filter_chain "plain-%d" {
    route {
      cluster      = "steady"
      idle_timeout = "%dm"
    }
  }
}
listener "tls" {
  address = %q
  filter_chain "named" {
    match { server_names = ["steady.test", "other-%d.test"] }
    route {
      weighted_cluster "steady" { weight = %d }
      weighted_cluster "beside-%d" { weight = 1 }
    }
  }
}
listener "passing-%d" {
  address = "127.0.0.1:0"
  default_filter_chain {
    route { cluster = "steady" }
  }
}
`, plain, 10000+i, i%3, 10+i%50, tls, i, 1+i%5, i%4, i)
	policies := []string{"least_connections", "round_robin", "random", "first"}
	some := []string{endpoints[i%len(endpoints)], endpoints[(i+1)%len(endpoints)]}
	for name, policy := range map[string]string{"steady": policies[i%4], fmt.Sprintf("beside-%d", i%4): policies[(i+1)%4]} {
		fmt.Fprintf(&b, "cluster %q {\n  lb_policy = %q\n  on_endpoint_removed = \"keep\"\n  endpoints = [%q, %q]\n}\n", name, policy, some[0], some[1])
	}
	return b.String()
}

// replaceFile puts a file in the place of another as a whole.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// reload has the gateway read its configuration again and waits for its answer,
// the n-th one with the message.
func (p *process) reload(n int, message string) {
	p.t.Helper()
	p.signal(syscall.SIGHUP)
	seen := 0
	ev := p.log.wait(func(ev event) bool {
		if text(ev, "message") == message {
			seen++
		}
		return seen >= n
	})
	if ev == nil {
		p.t.Fatalf("reload %d: no %q:\n%s", n, message, p.stderr)
	}
}

// steadyClients connect one after the other until stop is closed, alternately
// to the two addresses. They count and note failures.
type steadyClients struct {
	served  atomic.Int64
	failed  atomic.Int64
	mu      sync.Mutex // guards what follows
	failure error      // the first
}

func (s *steadyClients) run(n int, plain, tls string, stop <-chan struct{}) *sync.WaitGroup {
	hello := hellotest.Builder{ServerNames: []string{"steady.test"}}.Records()
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			pace := time.NewTicker(steadyPause)
			defer pace.Stop()
			for i := k; ; i++ {
				select {
				case <-stop:
					return
				case <-pace.C:
				}
				address, say := plain, []byte("hello")
				if i%2 == 0 {
					address, say = tls, hello
				}
				if err := once(address, say); err != nil {
					s.failed.Add(1)
					s.mu.Lock()
					if s.failure == nil {
						s.failure = err
					}
					s.mu.Unlock()
				} else {
					s.served.Add(1)
				}
			}
		})
	}
	return &wg
}

// once connects, has something echoed, and closes.
func once(address string, say []byte) error {
	c, err := tryDial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	return echoes(c, say)
}

func echoes(c net.Conn, say []byte) error {
	if _, err := c.Write(say); err != nil {
		return err
	}
	for got := 0; got < len(say); {
		b := make([]byte, len(say)-got)
		n, err := c.Read(b)
		if string(b[:n]) != string(say[got:got+n]) {
			return errors.New("something else came back")
		}
		if got += n; err != nil && got < len(say) {
			return fmt.Errorf("after %d of %d bytes: %w", got, len(say), err)
		}
	}
	return nil
}

// TestReloadsUnderLoad: configurations come and go, a broken one among them,
// while clients connect and others stay. None of them notices, and the gateway
// does not grow.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	endpoints := []string{echoBackend(t), echoBackend(t), echoBackend(t)}
	p := startSluice(t, reloadedConfig(0, "127.0.0.1:0", "127.0.0.1:0", endpoints), withAdmin())
	a := administer(t, p, "")
	file := filepath.Join(p.dir, "sluice.hcl")
	plain, tls := p.address("plain"), p.address("tls")

	var long []net.Conn
	for i := range loadSize(longOnes) {
		c := dial(t, plain)
		if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		exchange(t, c, fmt.Sprint("long ", i))
		long = append(long, c)
	}
	var s steadyClients
	stop := make(chan struct{})
	clients := s.run(steadyOnes, plain, tls, stop)

	pace := time.NewTicker(reloadsTake / reloads)
	defer pace.Stop()
	n := loadSize(reloads)
	var fds, rss int64
	var goroutines int
	for i := 1; i <= n; i++ {
		<-pace.C
		replaceFile(t, file, reloadedConfig(i, "127.0.0.1:0", "127.0.0.1:0", endpoints))
		p.reload(i, "reloaded")
		if i == n/2 {
			replaceFile(t, file, strings.Replace(reloadedConfig(i, "127.0.0.1:0", "127.0.0.1:0", endpoints), "route {", "rout {", 1))
			p.reload(1, "not reloaded: the gateway goes on as it was")
			p.waitLog(`no block \"rout\"`)
			fds, rss, goroutines = int64(p.descriptors()), p.rss(), a.goroutines()
		}
	}
	for i, c := range long {
		if err := echoes(c, []byte("still here")); err != nil {
			t.Errorf("long connection %d: %v", i, err)
		}
	}
	if now := int64(p.descriptors()); now > fds+2*steadyOnes+8 {
		t.Errorf("%d descriptors after %d reloads, %d after half of them", now, n, fds)
	}
	if now := p.rss(); now > rss+rss/4+8<<20 {
		t.Errorf("%d MB resident after %d reloads, %d MB after half of them", now>>20, n, rss>>20)
	}
	if now := a.goroutines(); now > goroutines+8 {
		t.Errorf("%d goroutines after %d reloads, %d after half of them", now, n, goroutines)
	}
	close(stop)
	clients.Wait()
	t.Logf("%d connections during %d reloads", s.served.Load(), n)
	if failed := s.failed.Load(); failed > 0 || s.served.Load() < int64(n) {
		t.Errorf("%d connections were served and %d failed, the first with: %v", s.served.Load(), failed, s.failure)
	}
	for _, c := range long {
		c.Close()
	}
	expectExactCounts(t, a, plain)
	if code := p.stop(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0: its connections have all ended", code)
	}
}

// goroutines asks the gateway how many it has.
func (a *administrator) goroutines() (n int) {
	a.t.Helper()
	_, metrics := a.ask("GET", "/metrics")
	_, rest, ok := strings.Cut(metrics, "\ngo_goroutines ")
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		a.t.Fatalf("the metrics do not say how many goroutines there are: %v", err)
	}
	return n
}

// expectExactCounts: nothing is counted any more when nobody is connected, and
// least connections shares new ones out to the last one.
func expectExactCounts(t *testing.T, a *administrator, address string) {
	t.Helper()
	active := func() (counts []int) {
		var list []struct {
			Cluster string
			Traffic struct{ Active int }
		}
		a.must("GET", "/endpoints?cluster=steady", &list)
		for _, e := range list {
			counts = append(counts, e.Traffic.Active)
		}
		return counts
	}
	eventually(t, "nothing is counted any more", func() bool { return slices.Equal(active(), []int{0, 0}) })
	const held = 30
	for _, c := range longOnesOf(t, address, held) {
		defer c.Close()
	}
	if counts := active(); !slices.Equal(counts, []int{held / 2, held / 2}) {
		t.Errorf("%d connections are shared out as %v", held, counts)
	}
}

// TestReloadOfManyChains: ten thousand chains are reloaded while a client talks
// to one of them. How long the longest answer took is reported, and judged by
// nobody here: the machine may be busy.
func TestReloadOfManyChains(t *testing.T) {
	t.Parallel()
	endpoint := echoBackend(t)
	chains := loadSize(10_000)
	configured := func(minutes int) string {
		var b strings.Builder
		b.WriteString("access_log { enabled = false }\nlistener \"many\" {\n  address = \"127.0.0.1:0\"\n")
		for i := range chains {
			fmt.Fprintf(&b, "  filter_chain \"c%d\" {\n    match { server_names = [\"n%d.test\"] }\n    route {\n      cluster      = \"echo\"\n      idle_timeout = \"%dm\"\n    }\n  }\n", i, i, minutes)
		}
		fmt.Fprintf(&b, "}\ncluster \"echo\" { endpoints = [%q] }\n", endpoint)
		return b.String()
	}
	p := startSluice(t, configured(10))
	hello := hellotest.Builder{ServerNames: []string{"n77.test"}}.Records()
	c := dial(t, p.address("many"))
	if err := echoes(c, hello); err != nil {
		t.Fatal(err)
	}
	replaceFile(t, filepath.Join(p.dir, "sluice.hcl"), configured(11))
	over := make(chan map[string]any, 1)
	go func() { over <- p.log.wait(func(ev event) bool { return text(ev, "message") == "reloaded" }) }()
	p.signal(syscall.SIGHUP)
	var longest time.Duration
	for n := 1; ; n++ {
		began := time.Now()
		if err := echoes(c, []byte("ping")); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(began))
		select {
		case ev := <-over:
			if ev == nil {
				t.Fatalf("not reloaded:\n%s", p.stderr)
			}
			t.Logf("%d chains in %.0f ms; the longest of %d answers meanwhile took %v", chains, number(ev, "duration_ms"), n, longest)
			return
		default:
		}
	}
}
