package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notice is what a process has told the service manager.
type notice struct {
	pid   int // of the sender, as the kernel knows it
	lines []string
}

// value gives what is told of a name; "" when it is not.
func (n notice) value(name string) string {
	for _, line := range n.lines {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}

// serviceManager listens as systemd does.
type serviceManager struct {
	path    string
	mu      sync.Mutex // guards what follows
	notices []notice
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	m := &serviceManager{path: filepath.Join(t.TempDir(), "notify")}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) }); err != nil || set != nil {
		t.Fatal(err, set)
	}
	done := make(chan struct{})
	go func() { defer close(done); m.read(c) }()
	t.Cleanup(func() { c.Close(); <-done })
	return m
}

func (m *serviceManager) read(c *net.UnixConn) {
	b, oob := make([]byte, 4096), make([]byte, 256)
	for {
		n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		pid := 0
		if list, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
			for _, cm := range list {
				if cred, err := unix.ParseUnixCredentials(&cm); err == nil {
					pid = int(cred.Pid)
				}
			}
		}
		m.mu.Lock()
		m.notices = append(m.notices, notice{pid, strings.Split(string(b[:n]), "\n")})
		m.mu.Unlock()
	}
}

func (m *serviceManager) all() []notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]notice(nil), m.notices...)
}

// await waits for a notice that matches, the first one from the n-th on, and
// gives its number.
func (m *serviceManager) await(t *testing.T, n int, what string, match func(notice) bool) int {
	t.Helper()
	at := -1
	eventually(t, what, func() bool {
		for i, nt := range m.all() {
			if i >= n && match(nt) {
				at = i
				return true
			}
		}
		return false
	})
	return at
}

func (m *serviceManager) environment(more ...string) option {
	return withCommand(func(cmd *exec.Cmd) {
		cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+m.path), more...)
	})
}

// TestServiceManagerIsTold when the gateway is ready, reloads, is another process
// after an upgrade, and stops; and nothing by who is not the one.
func TestServiceManagerIsTold(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)), m.environment())
	first := g.serving()
	says := func(pid int, name, value string) func(notice) bool {
		return func(n notice) bool { return n.pid == pid && n.value(name) == value }
	}
	at := m.await(t, 0, "READY=1", says(first, "READY", "1"))
	if got := m.all()[at].value("MAINPID"); got != strconv.Itoa(first) {
		t.Errorf("MAINPID is %q, want %d", got, first)
	}
	before := monotonic(t)
	g.sayAgain("reloaded", func() { g.send(syscall.SIGHUP) })
	at = m.await(t, at+1, "RELOADING=1", says(first, "RELOADING", "1"))
	usec, err := strconv.ParseInt(m.all()[at].value("MONOTONIC_USEC"), 10, 64)
	if now := monotonic(t); err != nil || usec < before || usec > now {
		t.Errorf("MONOTONIC_USEC is %d, which is not between %d and %d; %v", usec, before, now, err)
	}
	at = m.await(t, at+1, "READY=1 after a reload", says(first, "READY", "1"))

	c := dial(t, g.address("plain"))
	exchange(t, c, "hello")
	g.upgrade()
	second := g.serving()
	at = m.await(t, at+1, "the new process tells of itself", says(second, "MAINPID", strconv.Itoa(second)))
	m.await(t, 0, "the old process tells of the new one", says(first, "MAINPID", strconv.Itoa(second)))
	c.Close()
	awaitGone(t, first)
	for _, n := range m.all()[at:] {
		if n.value("STOPPING") != "" {
			t.Errorf("process %d tells that it stops: %q", n.pid, n.lines)
		}
	}
	c = dial(t, g.address("plain"))
	exchange(t, c, "hello")
	g.send(syscall.SIGTERM)
	m.await(t, at+1, "STOPPING=1", func(n notice) bool {
		return says(second, "STOPPING", "1")(n) && strings.Contains(n.value("STATUS"), "1 connection left")
	})
	c.Close()
	awaitGone(t, second)
}

// monotonic reads the clock that MONOTONIC_USEC is of.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano() / 1000
}

// TestWatchdogIsFed by the process that serves, and by no other.
func TestWatchdogIsFed(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)), m.environment("WATCHDOG_USEC=200000"))
	first := g.serving()
	by := func(pid int) func(notice) bool {
		return func(n notice) bool { return n.pid == pid && n.value("WATCHDOG") == "1" }
	}
	at := m.await(t, 0, "WATCHDOG=1", by(first))
	m.await(t, at+1, "WATCHDOG=1 again", by(first))
	c := dial(t, g.address("plain"))
	exchange(t, c, "hello")
	g.upgrade()
	second := g.serving()
	at = m.await(t, 0, "WATCHDOG=1 of the new process", by(second))
	at = m.await(t, at+1, "WATCHDOG=1 of the new process again", by(second))
	m.await(t, at+1, "WATCHDOG=1 of the new process once more", by(second))
	for _, n := range m.all()[at:] {
		if by(first)(n) {
			t.Error("the process that drains feeds the watchdog")
		}
	}
}

// TestWatchdogOfAnother: WATCHDOG_PID says who is meant.
func TestWatchdogOfAnother(t *testing.T) {
	t.Parallel()
	m := newServiceManager(t)
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)), m.environment("WATCHDOG_USEC=2000", "WATCHDOG_PID=1"))
	m.await(t, 0, "READY=1", func(n notice) bool { return n.value("READY") == "1" })
	g.send(syscall.SIGTERM)
	m.await(t, 0, "STOPPING=1", func(n notice) bool { return n.value("STOPPING") == "1" })
	for _, n := range m.all() {
		if n.value("WATCHDOG") != "" {
			t.Error("the watchdog of another process is fed")
		}
	}
}

// TestPIDFile holds, at every moment, the ID of a process that serves, and is
// removed by the last one.
func TestPIDFile(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t))+"runtime { pid_file = \"run.pid\" }\n")
	file := filepath.Join(g.dir, "run.pid")
	holds := func() int {
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, file)))
		if err != nil {
			t.Fatalf("the file holds something else: %v", err)
		}
		return pid
	}
	first := g.serving()
	if pid := holds(); pid != first {
		t.Errorf("the file holds %d, want %d", pid, first)
	}
	stop, read := make(chan struct{}), make(chan error)
	go func() { read <- readPIDs(file, stop) }()
	c := dial(t, g.address("plain"))
	exchange(t, c, "hello")
	g.upgrade()
	second := g.serving()
	if pid := holds(); pid != second {
		t.Errorf("after the upgrade the file holds %d, want %d", pid, second)
	}
	c.Close()
	awaitGone(t, first)
	if pid := holds(); pid != second {
		t.Errorf("after the end of the old process the file holds %d, want %d", pid, second)
	}
	before := g.upgrade() // and one that drains for no time at all
	awaitGone(t, before)
	if pid := holds(); pid != g.serving() {
		t.Errorf("after the second upgrade the file holds %d, want %d", pid, g.serving())
	}
	close(stop)
	if err := <-read; err != nil {
		t.Error(err)
	}
	hcl := filepath.Join(g.dir, "sluice.hcl")
	replaceFile(t, hcl, strings.Replace(readFile(t, hcl), "run.pid", "other.pid", 1))
	g.sayAgain("reloaded", func() { g.send(syscall.SIGHUP) })
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is left over where it was before the reload")
	}
	file = filepath.Join(g.dir, "other.pid")
	if pid := holds(); pid != g.serving() {
		t.Errorf("after the reload the file holds %d, want %d", pid, g.serving())
	}
	g.stopServing()
	left, err := filepath.Glob(filepath.Join(g.dir, "*.pid*"))
	hidden, err2 := filepath.Glob(filepath.Join(g.dir, ".*.pid*"))
	if len(left)+len(hidden) > 0 || err != nil || err2 != nil {
		t.Errorf("left over: %q %q %v %v", left, hidden, err, err2)
	}
}

// readPIDs reads the file again and again, and tells when there was no whole
// number in it.
func readPIDs(file string, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := strconv.Atoi(strings.TrimSuffix(string(b), "\n")); err != nil {
			return fmt.Errorf("somebody reads %q", b)
		}
	}
}

// TestReadinessDelay: between TERM and the end of accepting everybody is served.
func TestReadinessDelay(t *testing.T) {
	t.Parallel()
	const delay = 500 * time.Millisecond
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+fmt.Sprintf("runtime { readiness_delay = %q }\n", delay))
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	began := time.Now()
	p.signal(syscall.SIGTERM)
	p.waitLog("not ready any more; still accepting")
	if err := once(p.address("tcp"), []byte("hello")); err != nil && time.Since(began) < delay {
		t.Errorf("during the delay: %v", err)
	}
	p.waitLog(`"draining"`)
	if took := time.Since(began); took < delay {
		t.Errorf("accepting stops after %v, want %v", took, delay)
	}
	expectRefused(t, p.address("tcp"))
	exchange(t, c, "still here")
	c.Close()
	if code := p.wait(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
}

// TestSecondTermDuringTheReadinessDelay ends it at once.
func TestSecondTermDuringTheReadinessDelay(t *testing.T) {
	t.Parallel()
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t))+"runtime { readiness_delay = \"1h\" }\n")
	c := dial(t, p.address("tcp"))
	exchange(t, c, "hello")
	p.signal(syscall.SIGTERM)
	p.waitLog("not ready any more; still accepting")
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 1 {
		t.Errorf("the gateway exits with %d, want 1: a connection was cut", code)
	}
}
