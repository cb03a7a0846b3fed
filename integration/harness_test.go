package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gatewayBinary is the program under test, once buildGateway has made it.
var gatewayBinary string

// TestMain builds the program once, runs the tests, and says which other
// programs they would have needed.
func TestMain(m *testing.M) {
	if childBackend() {
		return
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "sluice-integration")
	if err == nil {
		err = buildGateway(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	tools.report(os.Stderr)
	os.Exit(code)
}

// buildGateway builds the program into dir, readable for every user: some
// tests run it as one without privileges.
func buildGateway(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	gatewayBinary = filepath.Join(dir, "sluice")
	args := []string{"build", "-o", gatewayBinary}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "sluice/cmd/sluice")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return nil
}

// process is a running gateway. It ends with the test.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	dir     string  // holds sluice.hcl
	log     *events // the service log
	records *events // the access records, when they go to stdout
	stderr  *lockedBuffer
	stdout  *os.File // our end of the pipe
	exited  chan struct{}

	addresses map[string][]string // of each listener, in order
}

// option changes how a gateway is started.
type option func(*start)

type start struct {
	mayNot bool
	admin  bool
	with   []func(*exec.Cmd)
}

// withAdmin leaves the admin server to the configuration. Without it there is
// none: many gateways run at once here, and it has the same address in all.
func withAdmin() option { return func(s *start) { s.admin = true } }

// mayFail lets the gateway end before it is ready: the test looks at it itself.
func mayFail() option { return func(s *start) { s.mayNot = true } }

// withCommand changes the command before it is started: its user, its limits
// (through a shell that execs), its environment.
func withCommand(f func(*exec.Cmd)) option {
	return func(s *start) { s.with = append(s.with, f) }
}

// startSluice runs a gateway with the configuration, which is written to an
// empty directory, and waits until it is ready.
func startSluice(t *testing.T, hcl string, opts ...option) *process {
	t.Helper()
	var s start
	for _, o := range opts {
		o(&s)
	}
	dir := t.TempDir()
	// The parent that t.TempDir made is for its owner only.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "sluice.hcl")
	if !s.admin {
		hcl += "\nadmin { enabled = false }\n"
	}
	if err := os.WriteFile(file, []byte(hcl), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gatewayBinary, "run", "-c", file)
	for _, f := range s.with {
		f(cmd)
	}
	p := &process{
		t: t, cmd: cmd, dir: dir,
		log: newEvents(), records: newEvents(), stderr: &lockedBuffer{},
		exited: make(chan struct{}),
	}
	p.start()
	t.Cleanup(p.cleanup)
	if ready := p.log.wait(isReady); ready == nil {
		if s.mayNot {
			return p
		}
		t.Fatalf("the gateway did not become ready; its configuration:\n%s\nit said:\n%s", hcl, p.stderr)
	}
	p.learnAddresses()
	return p
}

func (p *process) start() {
	stdout, theirs, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.stdout, p.cmd.Stdout, p.cmd.Stderr = stdout, theirs, errWrite
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	theirs.Close()
	errWrite.Close()
	var readers sync.WaitGroup
	readers.Go(func() { p.records.read(stdout) })
	readers.Go(func() { p.log.read(io.TeeReader(errRead, p.stderr)) })
	go func() {
		p.cmd.Wait()
		readers.Wait()
		stdout.Close()
		errRead.Close()
		close(p.exited)
	}()
}

func isReady(ev event) bool { return strings.HasPrefix(text(ev, "message"), "ready") }

// learnAddresses reads the listeners' addresses out of the service log. A
// listener on every address is reached over loopback.
func (p *process) learnAddresses() {
	p.addresses = make(map[string][]string)
	for _, ev := range p.log.all() {
		name, address := text(ev, "listener"), text(ev, "address")
		if name == "" || address == "" {
			continue
		}
		if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		p.addresses[name] = append(p.addresses[name], address)
	}
}

// on gives the same gateway for use in a subtest, which is then the one that
// fails.
func (p *process) on(t *testing.T) *process {
	q := *p
	q.t = t
	return &q
}

// address gives the first address of a listener.
func (p *process) address(listener string) string {
	p.t.Helper()
	if len(p.addresses[listener]) == 0 {
		p.t.Fatalf("the service log names no address of listener %q:\n%s", listener, p.stderr)
	}
	return p.addresses[listener][0]
}

// waitRecord waits for an access record that matches. Records are not used up:
// the first of all that match is given, however often it is asked for.
func (p *process) waitRecord(match func(map[string]any) bool) map[string]any {
	p.t.Helper()
	rec := p.records.wait(match)
	if rec == nil {
		p.t.Fatalf("no access record matches; these were written:\n%s", p.recordText())
	}
	return rec
}

// waitEnd waits for the last record of the connection that a client has, or
// had, from its local address.
func (p *process) waitEnd(client net.Addr) map[string]any {
	p.t.Helper()
	return p.waitType(client, "end")
}

// waitType is waitEnd for a record of any type.
func (p *process) waitType(client net.Addr, typ string) map[string]any {
	p.t.Helper()
	return p.waitRecord(func(rec map[string]any) bool {
		return text(rec, "type") == typ && text(rec, "source") == client.String()
	})
}

// waitLog waits for a line of the service log that contains the text.
func (p *process) waitLog(part string) map[string]any {
	p.t.Helper()
	ev := p.log.wait(func(ev event) bool { return strings.Contains(asJSON(ev), part) })
	if ev == nil {
		p.t.Fatalf("no line of the service log contains %q:\n%s", part, p.stderr)
	}
	return ev
}

func (p *process) recordText() string {
	var b strings.Builder
	list := p.records.all()
	for _, rec := range list[max(0, len(list)-20):] {
		b.WriteString(asJSON(rec) + "\n")
	}
	return b.String()
}

// signal sends the gateway a signal.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("sending %v: %v", sig, err)
	}
}

// stop sends TERM, waits for the gateway to end, and gives its exit code.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait()
}

// wait waits for the gateway to end and gives its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatal("the gateway does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// cleanup ends a gateway that still runs, with QUIT, which it has to obey at
// once whatever it is doing.
func (p *process) cleanup() {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err == nil || !errors.Is(err, os.ErrProcessDone) {
		select {
		case <-p.exited:
		case <-time.After(patience):
			p.t.Error("the gateway does not end on SIGQUIT; it is killed")
			p.cmd.Process.Kill()
			<-p.exited
		}
	}
	said := p.stderr.String()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "BUG:"} {
		if strings.Contains(said, bad) {
			p.t.Errorf("the gateway's stderr contains %q", bad)
		}
	}
	if p.t.Failed() {
		p.t.Logf("the gateway's stderr:\n%s", said)
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// runSluice runs a command of the program that ends by itself.
func runSluice(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runSluiceWith(t, dir, nil, args...)
}

// runSluiceWith is runSluice with something added to the environment.
func runSluiceWith(t *testing.T, dir string, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.Command(gatewayBinary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errOut
	cmd.Env = append(os.Environ(), environ...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer limit.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}
