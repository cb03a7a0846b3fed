package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/proxy/status"
	"sluice/tlsutil/certgen"
	"sluice/tlsutil/clienthello/hellotest"
)

// realGateway is a process that runs testdata/twelve.hcl.
type realGateway struct {
	dir   string
	ports map[string]int // echo: of an echo server on every loopback address; closed: of nobody
	conns []net.Conn     // that are alive, in the order in which they were made
	over  chan struct{}  // closed when the process has ended
}

func (g *realGateway) admin() string { return "unix:" + filepath.Join(g.dir, "admin.sock") }

// startRealGateway starts it, and returns when it is ready.
func startRealGateway(t *testing.T) *realGateway {
	t.Helper()
	g := &realGateway{dir: t.TempDir(), ports: map[string]int{"echo": startEcho(t), "closed": closedPort(t)}, over: make(chan struct{})}
	ca := certgen.NewAuthority("test CA")
	_, _, err := ca.WriteFiles(g.dir, "api", certgen.Options{Names: []string{"api.example.com"}})
	source, readErr := os.ReadFile("testdata/twelve.hcl")
	ports := strings.NewReplacer(":8443\"", fmt.Sprintf(":%d\"", g.ports["echo"]), ":9443\"", fmt.Sprintf(":%d\"", g.ports["closed"]))
	err = cmp.Or(err, readErr)
	for name, text := range map[string]string{
		"twelve.hcl":     ports.Replace(string(source)),
		"ca.pem":         string(ca.CAPEM()),
		"endpoints.json": fmt.Sprintf(`{"endpoints":[{"address":"127.0.1.20:%d","weight":3,"priority":1}]}`, g.ports["echo"]),
	} {
		err = cmp.Or(err, os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sluice", "run", "-c", filepath.Join(g.dir, "twelve.hcl"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		<-g.over
		_ = cmd.Wait() // the error is that of t.Context
	})
	var said []string
	for log := bufio.NewScanner(stderr); log.Scan(); {
		if said = append(said, log.Text()); strings.Contains(log.Text(), `"ready"`) {
			go discard(stderr, g.over)
			return g
		}
	}
	close(g.over)
	t.Fatalf("the gateway has ended and said\n%s", strings.Join(said, "\n"))
	return nil
}

// startEcho starts an echo server, and gives its port.
func startEcho(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// closedPort gives a port that nobody else can listen on as long as the test runs.
func closedPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return sa.(*unix.SockaddrInet4).Port
}

// connect opens a connection that stays, and waits until what it has sent has
// come back from an endpoint: from then on nothing of it changes.
func (g *realGateway) connect(t *testing.T, address, text string, wrap func(net.Conn) net.Conn) {
	t.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	raw, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := wrap(raw)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(text))); err != nil {
		t.Fatalf("an echo over %s: %v", address, err)
	}
	g.conns = append(g.conns, raw)
}

func plain(c net.Conn) net.Conn { return c }

// connectAll opens connections through seven chains.
func (g *realGateway) connectAll(t *testing.T, listeners []status.Listener) {
	t.Helper()
	https, mesh := listeners[0].Addresses, listeners[1].Addresses[0]
	hello := func(name string) string { return string(hellotest.Browser(name).Records()) }
	g.connect(t, https[0], hello("www.example.com"), plain)
	g.connect(t, https[0], hello("one.apps.example.com"), plain)
	g.connect(t, https[0], "over TLS", func(c net.Conn) net.Conn {
		return tls.Client(c, &tls.Config{ServerName: "api.example.com", NextProtos: []string{"h2"}, InsecureSkipVerify: true})
	})
	g.connect(t, https[1], "no TLS at all", plain)
	g.connect(t, mesh, "behind a proxy", func(c net.Conn) net.Conn {
		if _, err := io.WriteString(c, "PROXY TCP4 10.1.2.3 10.0.0.5 5500 443\r\n"); err != nil {
			t.Fatal(err)
		}
		return c
	})
	g.connect(t, listeners[2].Addresses[0], "select 1", plain)
	g.connect(t, https[0], hello("nobody.example.org"), plain)
}

// awaitChecks waits until the endpoints of cluster api have been checked, and
// those of cluster app discovered.
func (g *realGateway) awaitChecks(t *testing.T) {
	t.Helper()
	client, err := newAdminClient(g.admin(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := fmt.Errorf("all are checked")
	err = client.events(ctx, url.Values{"topics": {"flow"}}, func(_ string, data []byte) error {
		var flow struct{ Endpoints []status.Endpoint }
		if err := json.Unmarshal(data, &flow); err != nil {
			return err
		}
		discovered := false
		for _, e := range flow.Endpoints {
			if e.Cluster == "api" && e.LastCheck == nil {
				return nil
			}
			discovered = discovered || e.Cluster == "app" && e.Priority == 1
		}
		if !discovered {
			return nil
		}
		return done
	})
	if err != done {
		t.Fatal(err)
	}
}

// mask replaces what is different in every run: ports and paths, times, numbers
// of bytes, and what is particular to a machine or a certificate.
func (g *realGateway) mask(t *testing.T, text string) status.Dump {
	t.Helper()
	var d status.Dump
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	sources := map[string]int{}
	for i, c := range g.conns {
		sources[c.LocalAddr().String()] = i
	}
	ports := map[string]string{fmt.Sprint(g.ports["echo"]): "8443", fmt.Sprint(g.ports["closed"]): "9443"}
	for i, ln := range d.Listeners {
		for j, a := range ln.Addresses {
			if p := status.Port(a); p != "" {
				ports[p] = fmt.Sprintf("%d%d443", i+1, j)
			}
		}
	}
	for i := range d.Connections.Connections {
		c := &d.Connections.Connections[i]
		n, known := sources[c.Source]
		if direct, ok := sources[c.DirectSource]; ok {
			n, known = direct, true
			c.DirectSource = fmt.Sprintf("127.0.0.1:%d", 5000+n)
		} else if known {
			c.Source = fmt.Sprintf("127.0.0.1:%d", 5000+n)
		} else if c.Source == "unix" {
			n, known = slices.IndexFunc(g.conns, func(c net.Conn) bool { return c.LocalAddr().Network() == "unix" }), true
		}
		if !known {
			t.Errorf("nobody has made the connection %+v", c)
		}
		c.ID, c.Started, c.JA4 = uint64(n+1), time.Time{}, ""
		c.Age, c.Idle = 1, 1
		maskBytes(&c.BytesReceived, &c.BytesSent)
	}
	slices.SortFunc(d.Connections.Connections, func(a, b status.Connection) int { return cmp.Compare(a.ID, b.ID) })
	maskTraffic(&d)
	s := &d.Server
	s.Version, s.Go, s.PID, s.Started, s.Uptime, s.Workers, s.Splice, s.MaxConnections = "v0", "go1", 1, time.Time{}, 1, 2, "auto", 1000
	s.Configuration.Loaded = time.Time{}
	for i := range d.Endpoints {
		if c := d.Endpoints[i].LastCheck; c != nil {
			c.Time, c.Took = time.Time{}, 1
		}
	}
	for i := range d.Secrets {
		c := &d.Secrets[i]
		c.Serial, c.Fingerprint, c.NotAfter, c.NotBefore = "1", "f1", time.Time{}, time.Time{}
	}
	masked, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	plainText := regexp.MustCompile(`\b\d{5}\b`).ReplaceAllStringFunc(string(masked), func(p string) string { return cmp.Or(ports[p], p) })
	plainText = strings.ReplaceAll(plainText, g.dir, "/run/test")
	d = status.Dump{}
	if err := json.Unmarshal([]byte(plainText), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// maskBytes leaves of numbers of bytes that there were any.
func maskBytes(counts ...*uint64) {
	for _, n := range counts {
		*n = min(*n, 1)
	}
}

func maskTraffic(d *status.Dump) {
	mask := func(t *status.Traffic) { maskBytes(&t.BytesReceived, &t.BytesSent) }
	destinations := func(all []status.Destination) {
		for i := range all {
			mask(&all[i].Traffic)
		}
	}
	for i := range d.Listeners {
		mask(&d.Listeners[i].Traffic)
		for j := range d.Listeners[i].FilterChains {
			mask(&d.Listeners[i].FilterChains[j].Traffic)
			destinations(d.Listeners[i].FilterChains[j].Destination)
		}
	}
	for i := range d.Routes {
		destinations(d.Routes[i].Destination)
	}
	for i := range d.Clusters {
		mask(&d.Clusters[i].Traffic)
	}
	for i := range d.Endpoints {
		mask(&d.Endpoints[i].Traffic)
	}
}

var times = regexp.MustCompile(`\b\d[\d.dhm]*m?s\b`)

// TestProxyConfigOfRealGateway compares what a real gateway with live connections
// tells with golden files, and what it tells a command with what it dumps.
func TestProxyConfigOfRealGateway(t *testing.T) {
	t.Parallel()
	g := startRealGateway(t)
	var listeners []status.Listener
	if err := json.Unmarshal([]byte(pc(t, "listener", "-o", "json", "--admin", g.admin())), &listeners); err != nil {
		t.Fatal(err)
	}
	g.awaitChecks(t)
	g.connectAll(t, listeners)

	text := pc(t, "all", "-o", "json", "--admin", g.admin())
	saved := filepath.Join(g.dir, "dump.json")
	if err := os.WriteFile(saved, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := []string{"listener", "route", "cluster", "endpoint", "secret", "connection", "bootstrap", "all"}
	for _, command := range commands {
		for _, output := range []string{"table", "wide"} {
			live := pc(t, command, "-o", output, "--admin", g.admin())
			fromDump := pc(t, command, "-o", output, "-f", saved)
			if clean := func(s string) string { return spaces.ReplaceAllString(times.ReplaceAllString(s, "T"), " ") }; clean(live) != clean(fromDump) {
				t.Errorf("pc %s -o %s prints of the gateway\n%sand of its dump\n%s", command, output, live, fromDump)
			}
		}
	}

	masked, err := json.MarshalIndent(g.mask(t, text), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "pc", "real", "dump.json")
	compareGolden(t, golden, string(masked)+"\n")
	for _, command := range commands[:6] {
		compareGolden(t, filepath.Join("testdata", "pc", "real", command+".txt"), pc(t, command, "-o", "wide", "-f", golden))
	}
}

// compareGolden compares with a golden file, or rewrites it.
func compareGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is to be\n%sand is\n%s", golden, want, got)
	}
}

// Control of a real gateway: kill resets one connection and no other, the level
// of the log changes, and drain ends the process when its connections have.
func TestControlOfRealGateway(t *testing.T) {
	t.Parallel()
	g := startRealGateway(t)
	database := "unix:" + filepath.Join(g.dir, "db.sock")
	g.connect(t, database, "first", plain)
	g.connect(t, database, "second", plain)
	do := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := runSluice(append(args, "--admin", g.admin())...)
		if code != want {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout + stderr
	}
	var page status.Connections
	if err := json.Unmarshal([]byte(do(exitDone, "pc", "connection", "--cluster", "db", "-o", "json")), &page); err != nil || len(page.Connections) != 2 {
		t.Fatalf("%v, %+v", err, page)
	}
	if watched := watchOnce(t, g.admin()); len(watched.Connections) != 2 || watched.Connections[0].ID != page.Connections[0].ID {
		t.Errorf("a watcher sees %+v", watched)
	}
	killed := fmt.Sprint(page.Connections[0].ID)
	do(exitDone, "kill", killed)
	// The IDs do not say which it is; whichever, the other one goes on.
	ended := make(chan int, 2)
	for i, c := range g.conns {
		go func() {
			_, _ = c.Read(make([]byte, 1))
			ended <- i
		}()
	}
	survivor := g.conns[1-<-ended]
	if out := do(exitFailed, "kill", killed); !strings.Contains(out, "connection "+killed) {
		t.Errorf("killing it again says %s", out)
	}
	if _, err := io.WriteString(survivor, "x"); err != nil {
		t.Error(err)
	}
	<-ended // the echo

	do(exitDone, "pc", "log", "--level", "debug")
	if out := do(exitDone, "pc", "log", "-o", "json"); out != "{\n  \"level\": \"debug\"\n}\n" {
		t.Errorf("the level is %s", out)
	}
	do(exitDone, "drain")
	survivor.Close()
	<-g.over // with the last connection
}
