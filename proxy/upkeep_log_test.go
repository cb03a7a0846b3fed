package proxy

import (
	"fmt"
	"strings"
	"testing"
)

// What goes wrong with every endpoint of a cluster at once is one line of the
// log, and what is found is not more than a line can hold.
func TestLogOfManyEndpoints(t *testing.T) {
	t.Parallel()
	const n = 100
	file := newEndpointsFile(t)
	g := startKept(t, plainTo(fmt.Sprintf(`
  discovery "file" { path = %q }
  source_address = "127.0.0.1" # of which there is no way to IPv6
  health_check {
    interval = "1h"
    jitter   = "0%%"
  }`, file.path)))
	g.said(t, "discovery failed")
	var addresses []string
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("[::1]:%d", i+1))
	}
	file.write(addresses...)
	u := g.upkeeps["one"]
	until(t, "every check", func() bool { return u.troubles.total() == n })
	g.Close()
	var troubles, changes int
	for len(g.log.lines) > 0 {
		line := g.log.next(t)
		switch {
		case strings.Contains(line, "cannot check the endpoint"):
			troubles++
		case strings.Contains(line, "endpoints changed"):
			changes++
			if !strings.Contains(line, `"[::1]:50","and 50 more"]`) || strings.Contains(line, "[::1]:51") {
				t.Errorf("the change is told as %s", line)
			}
		}
	}
	// Once a second; a busy machine may take some for all of them.
	if troubles == 0 || troubles > n/4 || changes != 1 {
		t.Errorf("%d lines of trouble, %d of changes", troubles, changes)
	}
}
