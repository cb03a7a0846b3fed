package integration

import (
	"bytes"
	"encoding/json"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// askSluice runs a client command against a gateway with a socket admin.sock.
func askSluice(t *testing.T, p *process, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gatewayBinary, append(args, "--admin", "unix:"+filepath.Join(p.dir, "admin.sock"))...)
	var diagnostics bytes.Buffer
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sluice %v: %v\n%s", args, err, diagnostics.String())
	}
	return out
}

// TestManyListedAndOneKilled: thousands of live connections are listed within a
// second by a program that is started for it, and kill ends one of them.
func TestManyListedAndOneKilled(t *testing.T) {
	n := loadSize(5000)
	p := startSluice(t, `
admin { address = "unix:admin.sock" }
access_log { enabled = false }
`+plainGateway("127.0.0.1:0", backend(t, echoSmall)), withAdmin())
	conns := make([]net.Conn, n)
	if err := many(n, func(i int) (err error) {
		if conns[i], err = tryDial(p.address("tcp")); err != nil {
			return err
		}
		return echoed(conns[i], []byte("hello"))
	}); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	text := askSluice(t, p, "proxy-config", "connection", "--limit", "0", "-o", "json")
	took := time.Since(began)
	t.Logf("%d connections listed in %v, %d bytes", n, took, len(text))
	limit := time.Second
	if raceEnabled {
		limit *= 10 // most of it is the start of the program
	}
	if took > limit {
		t.Errorf("listing %d connections took %v, want at most %v", n, took, limit)
	}
	var page struct {
		Connections []struct {
			ID     uint64 `json:"id"`
			Source string `json:"source"`
		} `json:"connections"`
	}
	if err := json.Unmarshal(text, &page); err != nil {
		t.Fatal(err)
	}
	listed := map[string]uint64{}
	for _, c := range page.Connections {
		listed[c.Source] = c.ID
	}
	for _, c := range conns {
		if listed[c.LocalAddr().String()] == 0 {
			t.Fatalf("the connection from %s is not among the %d that are listed", c.LocalAddr(), len(listed))
		}
	}

	doomed := n / 2
	askSluice(t, p, "kill", strconv.FormatUint(listed[conns[doomed].LocalAddr().String()], 10))
	expectEnd(t, conns[doomed], rst)
	if err := many(n, func(i int) error {
		if i == doomed {
			return nil
		}
		if err := echoed(conns[i], []byte("still there")); err != nil {
			return err
		}
		return leave(conns[i])
	}); err != nil {
		t.Fatal(err)
	}
}
