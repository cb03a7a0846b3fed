package integration

import (
	"bufio"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestIperf: a program with a control connection and many data connections,
// in both directions at once, at full speed for 5 s each.
func TestIperf(t *testing.T) {
	needTool(t, "iperf3")
	for name, flags := range map[string][]string{
		"upload":     nil,
		"download":   {"-R"},
		"both_ways":  {"--bidir"},
		"8_parallel": {"-P", "8"},
	} {
		t.Run(name, func(t *testing.T) {
			// A server of its own: one that has just served another client
			// says for a moment that it is busy.
			hcl := plainGateway("127.0.0.1:0", iperfServer(t))
			if name == "both_ways" {
				// Which data connection is for which direction the server tells by
				// their order, which two workers may change: then both ends send and
				// nobody reads.
				hcl += "runtime { workers = 1 }\n"
			}
			p := startSluice(t, hcl)
			_, port, err := net.SplitHostPort(p.address("tcp"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := run(t, "", "iperf3", append([]string{"-c", "127.0.0.1", "-p", port, "-t", "5", "-J"}, flags...)...)
			var result struct {
				Error string
				End   struct {
					Sent     iperfSum `json:"sum_sent"`
					Received iperfSum `json:"sum_received"`
					Reverse  iperfSum `json:"sum_received_bidir_reverse"`
				}
			}
			if jsonErr := json.Unmarshal([]byte(out), &result); err != nil || jsonErr != nil || result.Error != "" {
				t.Fatalf("iperf3: %v, %v, %q\n%s", err, jsonErr, result.Error, out)
			}
			least := 1e6 // bits per second: that it works, not how fast
			if result.End.Received.BitsPerSecond < least || name == "both_ways" && result.End.Reverse.BitsPerSecond < least {
				t.Errorf("hardly anything was received: %+v", result.End)
			}
			t.Logf("%.1f Gbit/s received, %.1f in reverse", result.End.Received.BitsPerSecond/1e9, result.End.Reverse.BitsPerSecond/1e9)
			// iperf3 itself closes with bytes unread, which is a reset; the
			// gateway must not have ended anything.
			for _, rec := range p.records.all() {
				if within(rec, "termination", "side") == "gateway" {
					t.Errorf("the gateway ended a connection: %s", asJSON(rec))
				}
			}
		})
	}
}

type iperfSum struct {
	Bytes         float64 `json:"bytes"`
	BitsPerSecond float64 `json:"bits_per_second"`
}

// iperfServer runs iperf3's server and gives its address.
func iperfServer(t *testing.T) string {
	t.Helper()
	// iperf3 cannot tell which port it was given, so one is found beforehand.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("iperf3", "-s", "-B", "127.0.0.1", "-p", port, "--forceflush")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	t.Cleanup(func() {
		cmd.Process.Kill()
		for lines.Scan() {
		}
		cmd.Wait()
	})
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Server listening") {
			return address
		}
	}
	t.Fatal("iperf3's server does not listen")
	return ""
}
