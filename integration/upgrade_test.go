package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	upgrades  = 20
	spanning  = 5  // generations that a long connection lives for, and as many drain at a time
	longAtAll = 25 // long connections that each generation takes
)

// upgradedConfig listens in each of the ways that sockets differ in.
func upgradedConfig(dir, endpoint string) string {
	return fmt.Sprintf(`
access_log { enabled = false }
listener "plain" {
  address = "127.0.0.1:0"
  filter_chain "plain" {
    route { cluster = "steady" }
  }
}
listener "tls" {
  addresses = ["127.0.0.1:0", "unix:%s"]
  filter_chain "named" {
    match { server_names = ["steady.test"] }
    route { cluster = "steady" }
  }
  default_filter_chain {
    route { cluster = "steady" }
  }
}
cluster "steady" { endpoints = [%q] }
`, filepath.Join(dir, "x.sock"), endpoint)
}

// longOnesOf opens long connections and has something echoed on each.
func longOnesOf(t *testing.T, address string, n int) []net.Conn {
	t.Helper()
	var long []net.Conn
	for i := range n {
		c := dial(t, address)
		if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		exchange(t, c, fmt.Sprint("long ", i))
		long = append(long, c)
	}
	return long
}

// TestUpgradesInARow: one upgrade follows the other while clients connect, and
// long connections live through several. Nobody is refused and nothing is reset,
// and each process ends with its last connection.
func TestUpgradesInARow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := startGenerations(t, upgradedConfig(dir, echoBackend(t)))
	plain, tls, path := g.address("plain"), g.addresses["tls"][0], g.addresses["tls"][1]
	var s steadyClients
	stop := make(chan struct{})
	clients := s.run(steadyOnes, plain, tls, stop)
	overUnix := s.run(1, path, path, stop)

	type generation struct {
		pid  int
		long []net.Conn
	}
	var draining []generation
	end := func(old generation) {
		for i, c := range old.long {
			if err := echoes(c, []byte("still here")); err != nil {
				t.Errorf("process %d, connection %d: %v", old.pid, i, err)
			}
			if !isRunning(old.pid) {
				t.Errorf("process %d has ended with a connection left", old.pid)
			}
			c.Close()
		}
		awaitGone(t, old.pid)
	}
	n := max(loadSize(upgrades), spanning)
	for range n {
		long := longOnesOf(t, plain, longAtAll)
		draining = append(draining, generation{g.upgrade(), long})
		if len(draining) > spanning {
			end(draining[0])
			draining = draining[1:]
		}
	}
	for _, old := range draining {
		end(old)
	}
	close(stop)
	clients.Wait()
	overUnix.Wait()
	t.Logf("%d upgrades; %d connections served meanwhile", n, s.served.Load())
	if failed := s.failed.Load(); failed > 0 {
		t.Errorf("%d of the connections of the steady clients failed, the first with: %v", failed, s.failure)
	}
	g.stopServing()
	for _, pid := range g.started() {
		awaitGone(t, pid)
	}
	if _, err := os.Stat(strings.TrimPrefix(path, "unix:")); err == nil {
		t.Error("the unix socket's path is left over")
	}
}

// script makes the test's binary something else than the program.
func (g *generations) script(mode os.FileMode, text string) {
	g.t.Helper()
	next := g.binary + ".next"
	if err := os.WriteFile(next, []byte(text), mode); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Chmod(next, mode); err != nil { // whatever the umask is
		g.t.Fatal(err)
	}
	if err := os.Rename(next, g.binary); err != nil {
		g.t.Fatal(err)
	}
}

// undisturbed runs f while clients connect and others stay; none of them may
// notice.
func (g *generations) undisturbed(t *testing.T, f func()) {
	t.Helper()
	plain := g.address("plain")
	long := longOnesOf(t, plain, 10)
	var s steadyClients
	stop := make(chan struct{})
	clients := s.run(steadyOnes, plain, g.address("tls"), stop)
	f()
	for i, c := range long {
		if err := echoes(c, []byte("still here")); err != nil {
			t.Errorf("long connection %d: %v", i, err)
		}
		c.Close()
	}
	close(stop)
	clients.Wait()
	if failed := s.failed.Load(); failed > 0 {
		t.Errorf("%d of %d connections failed, the first with: %v", failed, failed+s.served.Load(), s.failure)
	}
}

// TestUpgradesThatFail leave the gateway as it was, and say why.
func TestUpgradesThatFail(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	file := filepath.Join(g.dir, "sluice.hcl")
	good := readFile(t, file)
	first := g.serving()
	fail := func(why, said string) {
		t.Helper()
		if reason := g.failUpgrade(); !strings.Contains(reason, why) {
			t.Errorf("the log says %q, and nothing of %q", reason, why)
		}
		if said != "" && !strings.Contains(g.stderr.String(), said) {
			t.Errorf("what the new process said is not in the log: %q", said)
		}
	}
	g.undisturbed(t, func() {
		g.script(0o755, "#!/bin/sh\necho it is broken >&2\nexit 3\n")
		fail("exit status 3", "it is broken")
		g.script(0o755, "#!/bin/sh\nkill -SEGV $$\n")
		fail("segmentation fault", "")
		g.script(0o644, "#!/bin/sh\n")
		fail("permission denied", "")
		g.script(0o755, "\x7fELF and nothing more")
		fail("exec format error", "")
		g.script(0o755, "#!/bin/sh\nexit 0\n")
		fail("ended by itself", "")
		if err := os.Remove(g.binary); err != nil {
			t.Fatal(err)
		}
		fail("no such file", "")
		g.restore(t)
		replaceFile(t, file, strings.Replace(good, "route {", "rout {", 1))
		fail("exit status 1", `There is no block "rout"`)
		taken := backend(t, echo)
		replaceFile(t, file, good+fmt.Sprintf("listener \"more\" {\n  address = %q\n  default_filter_chain {\n    route { cluster = \"steady\" }\n  }\n}\n", taken))
		fail("exit status 1", "address in use")
		replaceFile(t, file, good+"runtime { pid_file = \"/nowhere/at/all.pid\" }\n")
		fail("exit status 1", "pid_file")
		replaceFile(t, file, good)
		g.upgrade()
	})
	awaitGone(t, first)
}

// TestUpgradeToABinaryThatIsNeverReady: it is ended when its time is up, and
// what was asked for meanwhile is done then, or refused.
func TestUpgradeToABinaryThatIsNeverReady(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	g.script(0o755, "#!/bin/sh\nexec sleep 600\n")
	g.undisturbed(t, func() {
		began := time.Now()
		g.sayAgain("upgrading: the new process starts", func() { g.send(syscall.SIGUSR2) })
		pid := g.started()[1]
		if err := text(g.sayAgain("not upgraded", func() { g.send(syscall.SIGUSR2) }), "error"); !strings.Contains(err, "under way already") {
			t.Errorf("a second upgrade meanwhile: %q", err)
		}
		g.send(syscall.SIGHUP)
		var reason string
		for range 2 { // its time is as long as patience is
			ev := g.log.wait(func(ev event) bool { return text(ev, "message") == notUpgraded })
			reason = text(ev, "error")
		}
		if !strings.Contains(reason, "not ready after") {
			t.Errorf("the log says %q", reason)
		}
		awaitGone(t, pid)
		t.Logf("after %v", time.Since(began))
		g.waitLog(`"message":"reloaded"`) // which had to wait
		g.restore(t)
		g.upgrade()
	})
}

// TestKilledDuringTheHandOver: wherever the new process is killed, the old one
// goes on.
func TestKilledDuringTheHandOver(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	plain := g.address("plain")
	long := longOnesOf(t, plain, 10)
	kill := func(t *testing.T, when string, wait func(pid int)) {
		t.Helper()
		g.sayAgain(notUpgraded, func() {
			g.sayAgain("upgrading: the new process starts", func() { g.send(syscall.SIGUSR2) })
			pids := g.started()
			pid := pids[len(pids)-1]
			wait(pid)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		})
		for range 20 {
			for _, address := range []string{plain, g.addresses["tls"][0], g.addresses["tls"][1]} {
				if err := once(address, []byte("not TLS")); err != nil {
					t.Fatalf("killed %s: %v", when, err)
				}
			}
		}
		for i, c := range long {
			if err := echoes(c, []byte("still here")); err != nil {
				t.Fatalf("killed %s: long connection %d: %v", when, i, err)
			}
		}
	}
	took := upgradeTime(g)
	long = longOnesOf(t, plain, 10)
	const points = 8
	for i := range points {
		after := took * time.Duration(i) / points
		kill(t, fmt.Sprintf("%v after its start", after), func(int) { <-time.After(after) })
	}
	kill(t, "when it serves", func(pid int) {
		g.log.wait(func(ev event) bool { return text(ev, "message") == "ready" && int(number(ev, "pid")) == pid })
	})
	kill(t, "once it has taken a connection", func(pid int) {
		g.log.wait(func(ev event) bool { return text(ev, "message") == "ready" && int(number(ev, "pid")) == pid })
		if err := once(plain, []byte("hello")); err != nil {
			t.Error(err)
		}
	})
	g.upgrade()
	if err := once(plain, []byte("hello")); err != nil {
		t.Error(err)
	}
}

// upgradeTime upgrades once, and gives how long it takes from the start of the
// new process until it is ready.
func upgradeTime(g *generations) time.Duration {
	began := time.Now()
	g.sayAgain("ready", func() { g.send(syscall.SIGUSR2) })
	took := time.Since(began)
	g.waitLog("took over")
	return took
}

// TestKilledOldProcess: once it has offered everything the new one goes on alone.
func TestKilledOldProcess(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	old := g.serving()
	g.sayAgain("took over", func() {
		g.sayAgain("ready", func() { g.send(syscall.SIGUSR2) })
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
	for _, address := range []string{g.address("plain"), g.addresses["tls"][0], g.addresses["tls"][1]} {
		if err := once(address, []byte("not TLS")); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestUpgradeWithAnotherConfiguration: addresses that the new process does not
// have any more are closed, new ones are opened, and another number of workers
// shares the sockets that there are.
func TestUpgradeWithAnotherConfiguration(t *testing.T) {
	t.Parallel()
	dir, endpoint := t.TempDir(), echoBackend(t)
	listen := func(name string) string {
		return fmt.Sprintf("listener %q {\n  address = %q\n  default_filter_chain {\n    route { cluster = \"steady\" }\n  }\n}\n", name, "unix:"+filepath.Join(dir, name))
	}
	base := upgradedConfig(dir, endpoint)
	g := startGenerations(t, base+"runtime { workers = 3 }\n"+listen("goes"))
	file := filepath.Join(g.dir, "sluice.hcl")
	goes, comes := "unix:"+filepath.Join(dir, "goes"), "unix:"+filepath.Join(dir, "comes")
	for _, workers := range []int{1, 5, 2} {
		replaceFile(t, file, base+fmt.Sprintf("runtime { workers = %d }\nadmin { enabled = false }\n", workers)+listen("comes"))
		before := g.upgrade()
		awaitGone(t, before)
		for range 50 { // each from another address, so that every socket has some
			for _, address := range []string{g.address("plain"), g.addresses["tls"][0], g.addresses["tls"][1], comes} {
				if err := once(address, []byte("not TLS")); err != nil {
					t.Fatalf("%d workers, %s: %v", workers, address, err)
				}
			}
		}
		if _, err := tryDial(goes); err == nil {
			t.Errorf("%s, which is gone from the configuration, takes connections", goes)
		}
		if _, err := os.Stat(filepath.Join(dir, "goes")); err == nil {
			t.Errorf("the path of %s is left over", goes)
		}
	}
}

// TestOlderProcessesAreKnown: the newest process asks all that still drain, also
// those that were not its own predecessor.
func TestOlderProcessesAreKnown(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	var long []net.Conn
	expect := func(processes, connections int) {
		t.Helper()
		ev := g.sayAgain("older processes drain", func() { g.upgrade() })
		if p, c := number(ev, "processes"), number(ev, "connections"); int(p) != processes || int(c) != connections {
			t.Errorf("the log says that %v processes drain with %v connections, want %d with %d", p, c, processes, connections)
		}
	}
	var pids []int
	for i := range 3 {
		long = append(long, longOnesOf(t, g.address("plain"), i+1)...)
		pids = append(pids, g.serving())
		expect(i+1, len(long))
	}
	for _, c := range long[1:3] { // those of the second one
		c.Close()
	}
	awaitGone(t, pids[1])
	longOnesOf(t, g.address("plain"), 1) // they end with the test
	expect(3, 5)
}

// TestTermForTheNewProcess in its first seconds: it drains what it has, and the
// old one is the one again.
func TestTermForTheNewProcess(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	g.sayAgain("ready", func() { g.send(syscall.SIGUSR2) })
	pid := g.started()[1]
	var c net.Conn
	eventually(t, "the new process has a connection", func() bool {
		before := socketsOf(t, pid)
		c = dial(t, g.address("plain"))
		exchange(t, c, "hello")
		if socketsOf(t, pid) == before+2 { // the client's and the endpoint's
			return true
		}
		c.Close()
		return false
	})
	ev := g.sayAgain(notUpgraded, func() {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	})
	if why := text(ev, "error"); !strings.Contains(why, "it was told to stop") {
		t.Errorf("the log says %q", why)
	}
	for _, address := range []string{g.address("plain"), g.addresses["tls"][0], g.addresses["tls"][1]} {
		if err := once(address, []byte("not TLS")); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	exchange(t, c, "it drains")
	c.Close()
	awaitGone(t, pid)
	g.upgrade()
}

// socketsOf counts the sockets that a process has.
func socketsOf(t *testing.T, pid int) (n int) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// TestOlderProcessesReopenTheirLogs: their records go into the new file.
func TestOlderProcessesReopenTheirLogs(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, plainGateway("127.0.0.1:0", echoBackend(t))+"access_log { path = \"access.log\" }\n")
	file := filepath.Join(g.dir, "access.log")
	c := dial(t, g.address("tcp"))
	exchange(t, c, "hello")
	old := g.upgrade()
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	g.sayAgain("opening the log files again", func() { g.send(syscall.SIGUSR1) })
	eventually(t, "the old process has the new file open", func() bool {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", old))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == file {
				return true
			}
		}
		return false
	})
	c.Close()
	awaitGone(t, old)
	if !strings.Contains(readFile(t, file), c.LocalAddr().String()) {
		t.Error("the record of the old process is not in the new file")
	}
}

// TestUpgradeOfADrainingProcess is refused with words, and so is one of PID 1.
func TestUpgradeOfADrainingProcess(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	c := dial(t, g.address("plain"))
	exchange(t, c, "hello")
	old := g.upgrade()
	refuse := func(pid int) {
		t.Helper()
		ev := g.sayAgain("not upgraded", func() {
			if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
		})
		if err := text(ev, "error"); !strings.Contains(err, "this process drains") {
			t.Errorf("the log says %q", err)
		}
	}
	refuse(old)
	// A first TERM is meant for the service, a second one for the process.
	g.sayAgain("draining already, after an upgrade: a second signal ends it", func() {
		if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	})
	exchange(t, c, "still here")
	if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, c, fin)
	awaitGone(t, old)
	c = dial(t, g.address("plain"))
	exchange(t, c, "hello")
	g.sayAgain("draining", func() { g.send(syscall.SIGTERM) })
	refuse(g.serving())
}

// TestTermDuringAnUpgrade ends the new process where it does not serve yet, and
// the old one drains.
func TestTermDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	g := startGenerations(t, upgradedConfig(t.TempDir(), echoBackend(t)))
	g.script(0o755, "#!/bin/sh\nexec sleep 600\n")
	g.sayAgain("upgrading: the new process starts", func() { g.send(syscall.SIGUSR2) })
	if code := g.stop(); code != 0 {
		t.Errorf("the gateway exits with %d, want 0", code)
	}
	awaitGone(t, g.started()[1])
}

// TestUpgradeOfPID1 is refused: the container would end with the old process.
func TestUpgradeOfPID1(t *testing.T) {
	t.Parallel()
	needTool(t, "unshare")
	need(t, "a PID namespace", unix.Access("/proc/self/ns/pid", unix.R_OK))
	p := startSluice(t, plainGateway("127.0.0.1:0", echoBackend(t)), insideUnshare())
	if pid := number(p.waitLog(`"message":"ready"`), "pid"); pid != 1 {
		t.Fatalf("the gateway believes to be process %v", pid)
	}
	children := strings.Fields(readFile(t, fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid)))
	if len(children) != 1 {
		t.Fatalf("unshare has the children %v", children)
	}
	var inner int
	if _, err := fmt.Sscan(children[0], &inner); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(inner, syscall.SIGQUIT) }) // unshare ends with it
	if err := syscall.Kill(inner, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if err := text(p.waitLog(notUpgraded), "error"); !strings.Contains(err, "this process is PID 1") {
		t.Errorf("the log says %q", err)
	}
	exchange(t, dial(t, p.address("tcp")), "it goes on")
}
