package integration

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/tlsutil/clienthello/hellotest"
)

// shortConnection is what the gateway may ask of the kernel for one short
// passed-through connection with its record: a hello, an answer, and a FIN from
// either side. It is design: whoever adds a call has to raise a number here and
// say why.
var shortConnection = map[string]float64{
	"accept4":     1, // and one that finds nothing more, now and then
	"recvfrom":    4, // the hello, the answer, and the end of either side
	"socket":      1,
	"setsockopt":  2, // TCP_NODELAY, SO_OOBINLINE
	"connect":     1,
	"epoll_ctl":   2, // either side, once
	"sendto":      2, // the hello, the answer
	"getsockname": 1, // upstream_local of the record
	"shutdown":    1, // the client's FIN, passed on
	"close":       2,
}

// mostCalls is the target of them all, waits excepted.
const mostCalls = 20

// waits are calls in which nothing is done but waiting, or waking who waits. A
// gateway that serves one connection at a time waits for every step of it, so
// this is the most there can be; they are bounded so that nobody adds one
// unseen.
var waits = map[string]float64{
	"epoll_pwait":     6, // for the client, its hello, the connect, the answer, and either end
	"futex":           2,
	"nanosleep":       4, // the runtime's monitor thread
	"restart_syscall": 1, // a wait that strace interrupted when it came
	"sched_yield":     1,
}

// amortized calls are made once for many connections, or by time.
var amortized = map[string]float64{
	"timerfd_settime": 1.5, // a deadline that is earlier than the one set: the hello's after a record's delay; a worker's ticks
	"write":           0.5, // records, and waking a worker
	"read":            0.5,
	"getpid":          0.5,
	"tgkill":          0.5, // preemption by the runtime, as are the next two
	"rt_sigreturn":    0.5,
	"rt_sigprocmask":  0.5,
	"madvise":         0.5,
	"mmap":            0.2,
	"clone":           0.2,
	"clone3":          0.2,
}

// TestSyscallsOfAShortConnection counts every call of the whole process while
// short connections come one after the other.
func TestSyscallsOfAShortConnection(t *testing.T) {
	needTool(t, "strace")
	const connections = 200
	answer := []byte(strings.Repeat("a", 100))
	hello := hellotest.Browser("short.test").Records()
	endpoint := backend(t, func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(hello))); err == nil {
			c.Write(answer)
			c.Read(make([]byte, 1)) // the client goes first
		}
	})
	p := startSluice(t, fmt.Sprintf(`
access_log { path = "records.json" }
runtime { workers = 1 }
listener "tls" {
  address = "127.0.0.1:0"
  filter_chain "short" {
    match { server_names = ["short.test"] }
    route { cluster = "one" }
  }
}
cluster "one" { endpoints = [%q] }
`, endpoint))
	visit := func() {
		c, err := net.Dial("tcp", p.address("tls"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(hello)
		if _, err := io.ReadFull(c, make([]byte, len(answer))); err != nil {
			t.Fatal(err)
		}
	}
	visit() // what is made only once
	trace := straceOf(t, p.cmd.Process.Pid)
	for range connections {
		visit()
	}
	calls := trace.stop()
	each := func(name string) float64 { return float64(calls[name]) / connections }

	sum, waiting := 0.0, 0.0
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		t.Logf("%-16s %6.2f", name, each(name))
		allowed := shortConnection[name] + waits[name] + amortized[name]
		if allowed == 0 {
			t.Errorf("%s is new: %.2f for a connection", name, each(name))
			continue
		}
		// Where a busy machine makes something late it is tried again.
		if each(name) > allowed+0.5 {
			t.Errorf("%s: %.2f for a connection, want at most %v", name, each(name), allowed)
		}
		if shortConnection[name] > 0 || amortized[name] > 0 {
			sum += each(name)
		} else {
			waiting += each(name)
		}
	}
	t.Logf("%.1f calls and %.1f waits for a connection", sum, waiting)
	if sum > mostCalls {
		t.Errorf("%.1f calls for a connection, want at most %d", sum, mostCalls)
	}
	for name := range shortConnection {
		if each(name) < 0.9 {
			t.Errorf("%s: only %.2f for a connection: the trace is not whole", name, each(name))
		}
	}
}

// stracing is strace, attached to a process.
type stracing struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	said *bufio.Scanner
}

// straceOf attaches strace to every thread of a process, and to those that
// come, and returns when it is there.
func straceOf(t *testing.T, pid int) *stracing {
	t.Helper()
	s := &stracing{t: t, file: filepath.Join(t.TempDir(), "trace")}
	s.cmd = exec.Command("strace", "-f", "-p", strconv.Itoa(pid), "-o", s.file)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.said = bufio.NewScanner(stderr)
	for s.said.Scan() {
		if strings.Contains(s.said.Text(), "attached") {
			return s
		}
	}
	need(t, "strace", fmt.Errorf("it does not attach to a process"))
	return nil
}

var straceCall = regexp.MustCompile(`^\d+ +(\w+)\(`)

// stop detaches and gives how often each call was made.
func (s *stracing) stop() map[string]int {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGINT)
	for s.said.Scan() {
	}
	s.cmd.Wait()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	calls := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		if m := straceCall.FindStringSubmatch(line); m != nil {
			calls[m[1]]++
		}
	}
	return calls
}
