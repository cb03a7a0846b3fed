package integration

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// descriptors counts the gateway's open descriptors.
func (p *process) descriptors() int {
	p.t.Helper()
	entries, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// rss gives the gateway's resident memory in bytes.
func (p *process) rss() int64 {
	p.t.Helper()
	return p.status("VmRSS") << 10
}

// threads counts the gateway's OS threads.
func (p *process) threads() int {
	p.t.Helper()
	return int(p.status("Threads"))
}

// status gives a number of /proc/PID/status.
func (p *process) status(field string) int64 {
	p.t.Helper()
	b, err := os.ReadFile(p.proc("status"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		if name != field {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		return n
	}
	p.t.Fatalf("/proc/PID/status has no %s", field)
	return 0
}

// cpu gives the CPU time that the gateway has used (proc(5): fields 14 and 15
// of stat, in ticks of 10 ms).
func (p *process) cpu() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		p.t.Fatal(err)
	}
	// The name of the program may contain anything, so fields are counted
	// from behind it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func (p *process) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)
}

// eventually looks again and again, for figures of /proc that no event tells
// of, until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

// awaitFile waits until there is a file of that name.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	eventually(t, "there is a file "+path, func() bool { _, err := os.Stat(path); return err == nil })
}
