package tlsutil

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/tlsutil/certgen"
)

func TestClientConfigsResumeByEndpointAndName(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			cert := issue(servers(), certgen.Options{Names: []string{"a.test", "b.test"}})
			one := mustConfig(t, ServerOptions{Certificates: []*Certificate{cert}})
			two := mustConfig(t, ServerOptions{Certificates: []*Certificate{cert}}) // has other ticket keys
			configs := NewClientConfigs(mustClientConfig(t, ClientOptions{CAs: servers().Pool(), MaxVersion: version}), 10)
			steps := []struct {
				server   *tls.Config
				endpoint string
				name     string
				resumed  bool
			}{
				{one, "one", "a.test", false},
				{one, "one", "a.test", true},
				{two, "two", "a.test", false},
				{one, "one", "a.test", true}, // not forgotten for the other endpoint
				{two, "two", "a.test", true},
				{one, "one", "b.test", false}, // a certificate is judged for each name
				{one, "one", "b.test", true},
			}
			for i, s := range steps {
				out := greet(s.server, configs.For(s.endpoint, s.name, ""))
				wantOutcome(t, out, "", "")
				if out.client.DidResume != s.resumed {
					t.Errorf("step %d, %s as %s: resumed %t", i, s.endpoint, s.name, out.client.DidResume)
				}
			}
		})
	}
}

func TestClientConfigsAreSharedAndBounded(t *testing.T) {
	t.Parallel()
	configs := NewClientConfigs(mustClientConfig(t, ClientOptions{CAs: servers().Pool()}), 2)
	a := configs.For("e", "a.test", "")
	if a.ServerName != "a.test" || configs.For("e", "a.test", "") != a {
		t.Error("the same use has two configs")
	}
	b := configs.For("e", "b.test", "")
	configs.For("e", "a.test", "") // now used after b
	configs.For("e", "c.test", "")
	if configs.For("e", "a.test", "") != a {
		t.Error("the one used last but one was dropped")
	}
	if configs.For("e", "b.test", "") == b {
		t.Error("the one used longest ago was kept")
	}
	for i := range 100 {
		configs.For(fmt.Sprint(i), "a.test", "")
	}
	if len(configs.uses) != 2 || configs.used.Len() != 2 {
		t.Errorf("%d uses, %d in order", len(configs.uses), configs.used.Len())
	}
}

func TestClientConfigsForManyGoroutines(t *testing.T) {
	t.Parallel()
	configs := NewClientConfigs(mustClientConfig(t, ClientOptions{CAs: servers().Pool()}), 3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("%d.test", i%5)
				cfg := configs.For("e", name, "")
				if cfg.ServerName != name {
					t.Errorf("asked for %s, got %s", name, cfg.ServerName)
				}
				cfg.ClientSessionCache.Put("", &tls.ClientSessionState{})
				cfg.ClientSessionCache.Get("")
				cfg.ClientSessionCache.Put("", nil)
			}
		})
	}
	wg.Wait()
}

func TestClientConfigsOffer(t *testing.T) {
	t.Parallel()
	configs := NewClientConfigs(mustClientConfig(t, ClientOptions{CAs: servers().Pool(), ALPN: []string{"h2", "http/1.1"}}), 10)
	for protocol, want := range map[string]string{"": "h2 http/1.1", "h2": "h2", "http/1.1": "http/1.1", "ours/1": "h2 http/1.1"} {
		if got := strings.Join(configs.For("e", "a.test", protocol).NextProtos, " "); got != want {
			t.Errorf("%q: offered %s, want %s", protocol, got, want)
		}
	}
	if configs.For("e", "a.test", "ours/1") != configs.For("e", "a.test", "") {
		t.Error("a protocol that is not offered has a config of its own")
	}
}

func BenchmarkClientConfigsFor(b *testing.B) {
	base, err := NewClientConfig(ClientOptions{CAs: servers().Pool()})
	if err != nil {
		b.Fatal(err)
	}
	configs := NewClientConfigs(base, 100)
	b.ReportAllocs()
	for b.Loop() {
		configs.For("10.0.0.1:443", "a.test", "")
	}
}
