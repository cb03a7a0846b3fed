package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dumpFile is what a gateway with three listeners, twelve filter chains, weighted
// clusters, source matches, and unhealthy and ejected endpoints says.
const dumpFile = "testdata/dump.json"

// pcCases are the golden files in testdata/pc, and what prints them.
var pcCases = []struct{ golden, args string }{
	{"listener.txt", "listener"},
	{"listener-wide.txt", "listener -o wide"},
	{"listener.json", "listener -o json"},
	{"listener-port.txt", "listener --port 15443"},
	{"listener-address.txt", "listener --address ::"},
	{"listener-unix.txt", "listener --address /run/sluice/db.sock"},
	{"listener-type.txt", "listener --type terminated -o wide"},
	{"listener-chain.txt", "listener --chain app"},
	{"listener-none.txt", "listener --port 444"},
	{"route.txt", "route"},
	{"route-wide.txt", "route -o wide"},
	{"route.json", "route -o json"},
	{"route-name.txt", "route --name https/api"},
	{"route-sni.txt", "route --sni one.v2.apps.example.com"},
	{"cluster.txt", "cluster"},
	{"cluster-wide.txt", "cluster -o wide"},
	{"cluster.json", "cluster -o json"},
	{"cluster.yaml", "cluster -o yaml"},
	{"cluster-name.txt", "cluster --name api"},
	{"cluster-fqdn.txt", "cluster --fqdn internal"},
	{"cluster-port.txt", "cluster --port 443"},
	{"endpoint.txt", "endpoint"},
	{"endpoint-wide.txt", "endpoint -o wide"},
	{"endpoint.json", "endpoint -o json"},
	{"endpoint-address.txt", "endpoint --address 10.0.1.10 --port 8443"},
	{"endpoint-cluster.txt", "endpoint --cluster api"},
	{"endpoint-ejected.txt", "endpoint --status ejected"},
	{"endpoint-unhealthy.txt", "endpoint --status unhealthy"},
	{"secret.txt", "secret"},
	{"secret-wide.txt", "secret -o wide"},
	{"secret.json", "secret -o json"},
	{"secret-name.txt", "secret --name https/api"},
	{"secret-none.txt", "secret --name nobody"},
	{"connection.txt", "connection"},
	{"connection-wide.txt", "connection -o wide"},
	{"connection.json", "connection -o json"},
	{"connection-sni.txt", "connection --sni *.example.com --cluster app"},
	{"connection-source.txt", "connection --source 203.0.113.0/24 --listener https --chain api-h2"},
	{"connection-endpoint.txt", "connection --endpoint 10.0.1.10:8443"},
	{"connection-limit.txt", "connection --limit 3"},
	{"bootstrap.txt", "bootstrap"},
	{"bootstrap-wide.txt", "bootstrap -o wide"},
	{"bootstrap.json", "bootstrap -o json"},
	{"bootstrap.yaml", "bootstrap -o yaml"},
	{"all.txt", "all"},
	{"all-wide.txt", "all -o wide"},
	{"../dump.json", "all -o json"},
}

// runSluice runs a command line and gives what it printed.
func runSluice(args ...string) (code int, stdout, stderr string) {
	var out, diagnostics bytes.Buffer
	code = sluice(args, strings.NewReader(""), &out, &diagnostics)
	return code, out.String(), diagnostics.String()
}

// pc runs a command of proxy-config that has to go well.
func pc(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := runSluice(append([]string{"pc"}, args...)...)
	if code != exitDone {
		t.Fatalf("%v: exit code %d\n%s", args, code, stderr)
	}
	return stdout
}

func TestProxyConfigGolden(t *testing.T) {
	t.Parallel()
	for _, tc := range pcCases {
		got := pc(t, append(strings.Fields(tc.args), "-f", dumpFile)...)
		compareGolden(t, filepath.Join("testdata", "pc", tc.golden), got)
	}
}

var (
	ago    = regexp.MustCompile(`\S+ ago`)
	spaces = regexp.MustCompile(` +`)
)

// timeless takes out what a clock has a part in, and the widths of columns.
func timeless(s string) string {
	return spaces.ReplaceAllString(ago.ReplaceAllString(s, "AGO"), " ")
}

// A running gateway and a dump of it look the same, under all filters.
func TestProxyConfigOfGateway(t *testing.T) {
	t.Parallel()
	gateway := startFakeAdmin(t)
	for _, tc := range pcCases {
		args := strings.Fields(tc.args)
		fromDump := pc(t, append(slices.Clone(args), "-f", dumpFile)...)
		got := pc(t, append(args, "--admin", gateway.address)...)
		if timeless(got) != timeless(fromDump) {
			t.Errorf("pc %s prints of a gateway\n%sand of its dump\n%s", tc.args, got, fromDump)
		}
	}
}

func TestProxyConfigAliases(t *testing.T) {
	t.Parallel()
	for name, aliases := range map[string]string{
		"listener": "listeners l", "route": "routes r", "cluster": "clusters c", "endpoint": "endpoints ep",
		"secret": "secrets s", "connection": "connections conn", "bootstrap": "b", "all": "a",
	} {
		want := pc(t, name, "-f", dumpFile)
		for alias := range strings.FieldsSeq(aliases) {
			if got := pc(t, alias, "-f", dumpFile); got != want {
				t.Errorf("pc %s is not pc %s, but prints\n%s", alias, name, got)
			}
		}
		if got := pc(t, name, "-o", "short", "-f", dumpFile); got != want {
			t.Errorf("-o short is not the same as -o table, but prints\n%s", got)
		}
	}
}

// What a client calls itself must not reach the terminal as it is.
func TestTablePrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"www.example.com": "www.example.com", "münchen.example": "münchen.example", `a"b\c`: `a"b\c`,
		"\x1b[2J": `\x1b[2J`, "a\tb\nc": `a\tb\nc`, "\x7f": `\x7f`, "\u202e": `\u202e`, "bad\xff": `bad\xff`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q is printed as %s, want %s", in, got, want)
		}
	}
}

func TestTableWords(t *testing.T) {
	t.Parallel()
	for ms, want := range map[float64]string{
		-5: "0ms", 0.4: "0ms", 999: "999ms", 1000: "1s", 59999: "59s", 60000: "1m0s", 3723000: "1h2m", 90000000: "1d1h",
	} {
		if got := span(ms); got != want {
			t.Errorf("%v ms is %s, want %s", ms, got, want)
		}
	}
	for bytes, want := range map[uint64]string{0: "0", 1023: "1023", 1024: "1.0KiB", 1 << 20: "1.0MiB", 1 << 62: "4096.0PiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d bytes are %s, want %s", bytes, got, want)
		}
	}
	for share, want := range map[float64]string{0: "0%", 0.0001: "<0.1%", 1: "100%", 0.95: "95%", 2.0 / 3: "66.7%"} {
		if got := percentage(share); got != want {
			t.Errorf("%v is %s, want %s", share, got, want)
		}
	}
	nine := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	if got := shortenedMatch("SNI: a,b,c,d,e,f,g,h,i; Trans: tls", nine); got != "SNI: a,b,c,d,e,f,g,h + 1 more...; Trans: tls" {
		t.Errorf("many names are %s", got)
	}
	if host, port := hosts([]string{"10.0.0.1:443", "[::1]:8443"}); host != "10.0.0.1,::1" || port != "443,8443" {
		t.Errorf("two ports are %s and %s", host, port)
	}
}
