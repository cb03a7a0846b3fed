package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// How long a process may take: to end after SIGTERM before it is killed, and to
// answer a line, beyond the work itself.
const (
	endGrace    = 500 * time.Millisecond
	answerGrace = 20 * time.Second
)

// linesKept is more than anything that is read from has to say: iperf3's JSON
// has some hundred lines.
const linesKept = 4096

// process is a program that this one started, in a process group of its own so
// that its children end with it. Its methods are for one goroutine.
type process struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan []byte // what it wrote to stdout, line by line; closed at its end
	stderr *tail
	exited chan struct{}
}

// startProcess runs argv in the network namespace, or in this one's when that
// is "". The caller stops it.
func startProcess(namespace string, argv ...string) (*process, error) {
	name := argv[0]
	if namespace != "" {
		argv = append([]string{"ip", "netns", "exec", namespace}, argv...)
	}
	p := &process{
		name: name, cmd: exec.Command(argv[0], argv[1:]...),
		lines: make(chan []byte, linesKept), stderr: new(tail), exited: make(chan struct{}),
	}
	// The group is ended as a whole. Should this program die without having
	// ended it, the kernel tells the child; main holds the thread that counts.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go p.follow(out)
	return p, nil
}

// follow hands the lines on and collects the process. Lines that nobody waits
// for (a peer that talks on stdout) are dropped.
func (p *process) follow(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		select {
		case p.lines <- bytes.Clone(lines.Bytes()):
		default:
		}
	}
	close(p.lines)
	// Its exit status says nothing that its stderr does not say better.
	_ = p.cmd.Wait()
	close(p.exited)
}

// send writes v as a line of JSON.
func (p *process) send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		return p.failure("takes no order")
	}
	return nil
}

// receive waits for a line of JSON and decodes it into v.
func (p *process) receive(ctx context.Context, v any, within time.Duration) error {
	timer := time.NewTimer(within + answerGrace)
	defer timer.Stop()
	select {
	case line, ok := <-p.lines:
		if !ok {
			return p.failure("ended early")
		}
		if err := json.Unmarshal(line, v); err != nil {
			return fmt.Errorf("%s answers %q: %w", p.name, line, err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return p.failure(fmt.Sprintf("does not answer within %v", within+answerGrace))
	}
}

// failure is an error with what the process said last.
func (p *process) failure(what string) error {
	return fmt.Errorf("%s %s: %s", p.name, what, p.stderr)
}

// running says whether the process has not ended by itself.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// stop ends the process and all that it started, and waits for it. A nil
// process is stopped.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.in.Close() // our own subcommands end with their input
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(endGrace):
	}
	// Workers may outlive their master by a moment: the group is killed either
	// way. Its id is nobody else's while one of them lives.
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// signal reaches the whole group; when it has ended there is nobody to tell.
func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, s)
}

// tail keeps the end of what is written to it, for the error messages.
type tail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return "(it said nothing)"
	}
	return string(bytes.TrimSpace(t.text))
}
