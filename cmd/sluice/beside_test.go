package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything in a script may take on a busy machine.
const patience = 30 * time.Second

// beside is what runs beside a script: a sluice, and a connection to it.
type beside struct {
	cmd        *exec.Cmd
	lines      chan string // of stderr
	seen       []string    // lines that were taken from it
	stdoutRead *os.File
	stdout     bytes.Buffer
	copied     chan struct{} // closed when stdout is complete
	conn       net.Conn
}

// besideKey is where a script keeps its beside.
type besideKey struct{}

// on makes a command of a method of the script's beside.
func on(f func(*beside, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("there is no negation of this command")
		}
		f(ts.Value(besideKey{}).(*beside), ts, args)
	}
}

// start runs sluice; after -joined, what it writes to stdout is among the lines
// of stderr.
func (b *beside) start(ts *testscript.TestScript, args []string) {
	joined := args[0] == "-joined"
	if joined {
		args = args[1:]
	}
	b.cmd = exec.Command("sluice", args...)
	b.cmd.Dir = ts.MkAbs(".")
	b.lines, b.copied, b.seen = make(chan string, 1000), make(chan struct{}), nil
	var err error
	var write *os.File
	b.stdoutRead, write, err = os.Pipe()
	ts.Check(err)
	b.cmd.Stdout = write
	stderr, err := b.cmd.StderrPipe()
	ts.Check(err)
	if joined {
		b.cmd.Stdout = b.cmd.Stderr
	}
	b.cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"))
	ts.Check(b.cmd.Start())
	write.Close()
	process := b.cmd.Process
	ts.Defer(func() { process.Kill() })
	go b.readStdout()
	go b.readStderr(stderr)
}

func (b *beside) readStdout() {
	io.Copy(&b.stdout, b.stdoutRead)
	close(b.copied)
}

func (b *beside) readStderr(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		b.lines <- s.Text()
	}
	close(b.lines)
}

// next gives the next line of stderr, and false at its end.
func (b *beside) next(ts *testscript.TestScript) (string, bool) {
	select {
	case line, ok := <-b.lines:
		if ok {
			b.seen = append(b.seen, line)
		}
		return line, ok
	case <-time.After(patience):
		ts.Fatalf("nothing more for %v on stderr, after\n%s", patience, strings.Join(b.seen, "\n"))
		return "", false
	}
}

func (b *beside) await(ts *testscript.TestScript, args []string) {
	pattern := regexp.MustCompile(args[0])
	for {
		line, ok := b.next(ts)
		if !ok {
			ts.Fatalf("sluice has ended and said no %q, but\n%s", args[0], strings.Join(b.seen, "\n"))
		}
		if m := pattern.FindStringSubmatch(line); m != nil {
			for i, name := range args[1:] {
				ts.Setenv(name, m[i+1])
			}
			return
		}
	}
}

func (b *beside) signal(ts *testscript.TestScript, args []string) {
	signals := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT,
		"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1,
	}
	ts.Check(b.cmd.Process.Signal(signals[args[0]]))
}

func (b *beside) closeStdout(ts *testscript.TestScript, _ []string) {
	ts.Check(b.stdoutRead.Close())
}

func (b *beside) exited(ts *testscript.TestScript, args []string) {
	for {
		if _, ok := b.next(ts); !ok {
			break
		}
	}
	<-b.copied
	err := b.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("waiting for sluice: %v", err)
	}
	stderr := strings.Join(b.seen, "\n") + "\n"
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), b.stdout.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), []byte(stderr), 0o600))
	if code := strconv.Itoa(b.cmd.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("%v, want exit code %s; it said\n%s", b.cmd.ProcessState, args[0], stderr)
	}
}

func (b *beside) connect(ts *testscript.TestScript, args []string) {
	c, err := net.DialTimeout("tcp", args[0], patience)
	ts.Check(err)
	ts.Defer(func() { c.Close() })
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, "echo")
	ts.Check(err)
	_, err = io.ReadFull(c, make([]byte, 4))
	ts.Check(err)
	b.conn = c
}

func (b *beside) hangUp(ts *testscript.TestScript, _ []string) {
	ts.Check(b.conn.(*net.TCPConn).CloseWrite())
	_, err := io.Copy(io.Discard, b.conn)
	ts.Check(err)
	ts.Check(b.conn.Close())
}

func echoServer(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
}

func makePipe(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// awaitReader waits until a pipe is read from, and lets its reader wait.
func awaitReader(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	ts.Defer(func() { f.Close() })
}
