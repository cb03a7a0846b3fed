package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/proxy/status"
)

// runningDemo is the demo of the real binary.
type runningDemo struct {
	address   string // of the gateway
	admin     string
	endpoints map[string]string // addresses by their names, as the map has them
	trust     *x509.CertPool
}

// startRealDemo starts it, and reads what it prints until it stays up.
func startRealDemo(t *testing.T) *runningDemo {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sluice", "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	t.Cleanup(func() {
		<-over
		_ = cmd.Wait() // the error is that of t.Context
	})

	d := &runningDemo{endpoints: map[string]string{}, trust: x509.NewCertPool()}
	endpoint := regexp.MustCompile(`│ ([a-z]+-\d) +(127\.0\.0\.1:\d+) `)
	box := regexp.MustCompile(`^│ (127\.0\.0\.1:\d+) *├?`)
	authority := regexp.MustCompile(`--cacert (\S+)`)
	for out := bufio.NewScanner(stdout); out.Scan(); {
		line := out.Text()
		if m := box.FindStringSubmatch(line); m != nil {
			if d.address == "" {
				d.address = m[1]
			} else {
				d.admin = m[1]
			}
		}
		if m := endpoint.FindStringSubmatch(line); m != nil {
			d.endpoints[m[1]] = m[2]
		}
		if m := authority.FindStringSubmatch(line); m != nil {
			pem, err := os.ReadFile(m[1])
			if err != nil {
				t.Fatal(err)
			}
			d.trust.AppendCertsFromPEM(pem)
		}
		if strings.Contains(line, "Ctrl-C ends the demo") {
			go discard(stdout, over)
			return d
		}
	}
	close(over)
	t.Fatal("the demo has ended")
	return nil
}

// discard lets a program write what nobody reads, until its end.
func discard(r io.Reader, over chan<- struct{}) {
	defer close(over)
	_, _ = io.Copy(io.Discard, r)
}

// pc asks the demo's gateway with the real binary.
func (d *runningDemo) pc(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sluice", append([]string{"proxy-config", "--admin", d.admin}, args...)...)
	var diagnostics bytes.Buffer
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, diagnostics.String())
	}
	return string(out)
}

// rows reads a table with these columns.
func rows(t *testing.T, text string, columns ...string) []map[string]string {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if got := strings.Join(regexp.MustCompile(`  +`).Split(lines[0], -1), " "); got != strings.Join(columns, " ") {
		t.Fatalf("the columns are %s, want %v", got, columns)
	}
	var starts []int
	for _, c := range columns {
		starts = append(starts, strings.Index(lines[0], c))
	}
	var all []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, c := range columns {
			end := len(line)
			if i+1 < len(columns) {
				end = starts[i+1]
			}
			row[c] = strings.TrimSpace(line[starts[i]:end])
		}
		all = append(all, row)
	}
	return all
}

// The walk of istioctl proxy-config, on the demo: each step takes only what the
// step before has printed, and the last names the endpoint that then serves a
// connection. A person does just this in a terminal.
func TestTraceOfDemo(t *testing.T) {
	t.Parallel()
	d := startRealDemo(t)
	port := d.address[strings.LastIndexByte(d.address, ':')+1:]
	for _, serverName := range []string{"shop.test", "api.test", "one.apps.test", "www.test"} {
		t.Run(serverName, func(t *testing.T) {
			// Which chains does the port have, and which takes this name?
			chains := rows(t, d.pc(t, "listener", "--port", port), "ADDRESSES", "PORT", "MATCH", "DESTINATION")
			i := slices.IndexFunc(chains, func(r map[string]string) bool {
				name, _ := strings.CutPrefix(r["MATCH"], "SNI: ")
				return name == serverName || strings.HasPrefix(name, "*.") && strings.HasSuffix(serverName, name[1:])
			})
			if i < 0 || chains[i]["ADDRESSES"]+":"+chains[i]["PORT"] != d.address {
				t.Fatalf("no chain of %s takes the name: %v", d.address, chains)
			}
			chain := chains[i]

			// Where does its route lead?
			routes := rows(t, d.pc(t, "route", "--sni", serverName), "NAME", "LISTENER", "DOMAINS", "MATCH", "DESTINATION")
			if len(routes) != 1 || routes[0]["MATCH"] != chain["MATCH"] || routes[0]["DESTINATION"] != chain["DESTINATION"] {
				t.Fatalf("the routes are %v, and the chain is %v", routes, chain)
			}
			targets, _ := strings.CutPrefix(routes[0]["DESTINATION"], "Cluster: ")

			// Which endpoints do its clusters have, and may they be used?
			var candidates []string
			for target := range strings.SplitSeq(targets, ", ") {
				name, _, _ := strings.Cut(target, " ")
				clusters := rows(t, d.pc(t, "cluster", "--name", name), "NAME", "PORT", "TYPE", "POLICY", "ENDPOINTS", "HEALTHY")
				endpoints := rows(t, d.pc(t, "endpoint", "--cluster", clusters[0]["NAME"]), "ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER")
				if fmt.Sprint(len(endpoints)) != clusters[0]["ENDPOINTS"] || clusters[0]["HEALTHY"] != clusters[0]["ENDPOINTS"] {
					t.Errorf("cluster %v has the endpoints %v", clusters[0], endpoints)
				}
				for _, e := range endpoints {
					candidates = append(candidates, e["ENDPOINT"])
				}
			}
			t.Logf("%s: chain %q, route %s, %s, endpoints %v", serverName, chain["MATCH"], routes[0]["NAME"], targets, candidates)

			// It is one of these that serves.
			backend, live := d.visit(t, serverName)
			if !slices.Contains(candidates, d.endpoints[backend]) {
				t.Errorf("%s at %s has served %s, and the trace has led to %v", backend, d.endpoints[backend], serverName, candidates)
			}
			if live.Endpoint != backend || live.EndpointAddress != d.endpoints[backend] || live.FilterChain != routes[0]["NAME"] {
				t.Errorf("the connection is listed as %+v, and %s has served it", live, backend)
			}
		})
	}
}

// numbers are what is different in each run of the demo: ports, IDs, ages, sizes.
var numbers = regexp.MustCompile(`\d[\d.]*([KM]iB|ms|s)?\b`)

// The tables of the README are what the demo prints.
func TestReadmeShowsTheDemo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "```console\n$ sluice pc ")
	block, _, closed := strings.Cut(block, "\n```")
	if !found || !closed {
		t.Fatal("README.md has no block of what sluice pc prints")
	}
	d := startRealDemo(t)
	c := d.dial(t, "api.test")
	defer c.Close()
	d.ask(t, c, "api.test")
	for shown := range strings.SplitSeq(block, "\n\n$ sluice pc ") {
		line, want, _ := strings.Cut(shown, "\n")
		args, _, _ := strings.Cut(line, " --admin ")
		got := strings.TrimSuffix(d.pc(t, strings.Fields(args)...), "\n")
		clean := func(s string) string { return spaces.ReplaceAllString(numbers.ReplaceAllString(s, "N"), " ") }
		if clean(got) != clean(want) {
			t.Errorf("README.md shows of sluice pc %s\n%s\nand the demo prints\n%s", args, want, got)
		}
	}
}

// visit makes a connection, and gives the name of the backend that has answered
// and what is listed of the connection before it ends.
func (d *runningDemo) visit(t *testing.T, serverName string) (backend string, live status.Connection) {
	t.Helper()
	c := d.dial(t, serverName)
	defer c.Close()
	backend = d.ask(t, c, serverName)
	var page status.Connections
	if err := json.Unmarshal([]byte(d.pc(t, "connection", "--sni", serverName, "-o", "json")), &page); err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Connections {
		if l.Source == c.LocalAddr().String() {
			return backend, l
		}
	}
	t.Fatalf("the connection from %s is not among %+v", c.LocalAddr(), page.Connections)
	return "", live
}

// dial opens a connection through the demo's gateway.
func (d *runningDemo) dial(t *testing.T, serverName string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", d.address, &tls.Config{ServerName: serverName, RootCAs: d.trust})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask makes a request over a connection, which is alive until it is closed here,
// and gives the name of the backend that has answered.
func (d *runningDemo) ask(t *testing.T, c *tls.Conn, serverName string) string {
	t.Helper()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", serverName)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.Header.Get("Server")
}
