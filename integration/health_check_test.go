package integration

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

// TestWrongCertificateSeenByChecks: of three endpoints one shows a certificate
// for another name and one is silent. A tls check takes both out, for the stated
// reason, before they cost a client anything; and the good one serves.
func TestWrongCertificateSeenByChecks(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "checked")
	config := func(name string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ca.pair(certgen.Options{Names: []string{name}})}}
	}
	good := tlsBackend(t, config("app.test"), sayName("good"))
	wrong := tlsBackend(t, config("other.test"), sayName("wrong"))
	silent := backend(t, discard)
	p := startSluice(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "app" }
  }
}
cluster "app" {
  endpoints = [%q, %q, %q]
  tls {
    server_name = "app.test"
    ca_file     = %q
  }
  health_check {
    type     = "tls"
    interval = "100ms"
    timeout  = "1s"
  }
}
`, wrong, silent, good, ca.caFile()))
	for endpoint, reason := range map[string]string{
		wrong:  "the first check failed: the certificate is not good: certificate is valid for other.test, not app.test",
		silent: "the first check failed: the TLS handshake took longer than 1s",
	} {
		ev := p.log.wait(func(ev event) bool {
			return text(ev, "message") == "endpoint unhealthy" && text(ev, "endpoint") == endpoint
		})
		if ev == nil {
			t.Fatalf("nothing says that %s is unhealthy:\n%s", endpoint, p.stderr)
		}
		expectFields(t, ev, map[string]string{"reason": reason, "cluster": "app", "level": "warn"})
	}
	for range 30 {
		c := dial(t, p.address("tcp"))
		send(t, c, []byte("hello"))
		if b, end := readToEnd(c); string(b) != "good" || end != fin {
			t.Fatalf("served with %q and %s", b, end)
		}
		c.Close()
		if got := strings.Join(attemptsOf(p.waitEnd(c.LocalAddr())), ", "); got != good+" connected" {
			t.Errorf("attempts are %q, want only the good endpoint", got)
		}
	}
}

// TestUnhealthyEndpointComesBack: an endpoint whose HTTP check says 503 gets no
// connections, while others serve without a failed attempt, and gets them again
// afterwards. Each transition is logged once.
func TestUnhealthyEndpointComesBack(t *testing.T) {
	t.Parallel()
	listeners, port := listenOnAll(t, "127.0.0.21", "127.0.0.22")
	serve(t, listeners[0], askOrEcho("first"))
	serve(t, listeners[1], askOrEcho("second"))
	checked, checkPort := listenOnAll(t, "127.0.0.21", "127.0.0.22")
	var sick atomic.Bool
	for i, ln := range checked {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if i == 0 && sick.Load() || r.URL.Path != "/ready" || r.Host != "app.test" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})}
		var serving sync.WaitGroup
		serving.Go(func() { server.Serve(ln) })
		t.Cleanup(func() { server.Close(); serving.Wait() })
	}
	p := startSluice(t, fmt.Sprintf(`
log { level = "debug" }
listener "tcp" {
  address = "127.0.0.1:0"
  filter_chain "all" {
    match { transport_protocol = "raw_buffer" }
    route { cluster = "app" }
  }
}
cluster "app" {
  endpoints = ["127.0.0.21:%[1]d", "127.0.0.22:%[1]d"]
  health_check {
    type     = "http"
    interval = "50ms"
    timeout  = "10s"
    path     = "/ready"
    host     = "app.test"
    port     = %[2]d
  }
}
`, port, checkPort))
	first := net.JoinHostPort("127.0.0.21", fmt.Sprint(port))
	await := func(message, reason string) {
		t.Helper()
		if p.log.wait(func(ev event) bool {
			return text(ev, "message") == message && text(ev, "endpoint") == first && text(ev, "reason") == reason
		}) == nil {
			t.Fatalf("no %q because %q:\n%s", message, reason, p.stderr)
		}
	}
	await("endpoint healthy", "the first check passed")
	l := startLoad(t, p.address("tcp"), 2)
	l.awaitServed(t, "first", 20)
	sick.Store(true)
	await("endpoint unhealthy", "3 checks in a row failed: the status is 503, not 200-299")
	out := time.Now()
	l.awaitServed(t, "second", 50)
	l.mu.Lock()
	if late := l.latest["first"]; late.After(out) {
		t.Errorf("the unhealthy endpoint got a connection that began %v after it was logged", late.Sub(out))
	}
	l.mu.Unlock()
	sick.Store(false)
	await("endpoint healthy", "2 checks in a row passed")
	l.awaitServed(t, "first", 20)
	l.stop()
	l.expectNoFailures(t, time.Time{})
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	said := map[string]int{}
	for _, ev := range p.log.all() {
		if text(ev, "endpoint") == first {
			said[text(ev, "message")]++
		}
	}
	if said["endpoint healthy"] != 2 || said["endpoint unhealthy"] != 1 {
		t.Errorf("logged %v, want each transition once", said)
	}
	for _, rec := range p.records.all() {
		if list := attemptsOf(rec); text(rec, "type") == "end" && len(list) != 1 {
			t.Errorf("attempts are %q, want one", list)
		}
	}
}
