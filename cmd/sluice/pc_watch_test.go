package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/proxy/status"
)

// startWatch runs sluice with a place for its output.
func startWatch(t *testing.T, stdout *os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sluice", append([]string{"pc", "connection", "--watch"}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TERM=xterm")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// watchOnce gives the first page that a watcher sees.
func watchOnce(t *testing.T, address string) (page status.Connections) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := startWatch(t, write, "--admin", address, "-o", "json")
	write.Close()
	if err := json.NewDecoder(read).Decode(&page); err != nil {
		t.Errorf("watching: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	return page
}

// Without a terminal, one page follows the other, and Ctrl-C is a good end.
func TestWatchAppends(t *testing.T) {
	t.Parallel()
	admin := startFakeAdmin(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := startWatch(t, write, "--admin", admin.address, "--cluster", "app", "-o", "json")
	write.Close()
	lines := bufio.NewScanner(read)
	for i := range 2 {
		if !lines.Scan() {
			t.Fatalf("no page %d: %v", i, cmd.Wait())
		}
		var page status.Connections
		if err := json.Unmarshal(lines.Bytes(), &page); err != nil || len(page.Connections) != 2 || page.Connections[0].ID != 4001 {
			t.Errorf("page %d is %s", i, lines.Text())
		}
	}
	if got, want := <-admin.watched, "cluster=app&limit=1000&topics=connections"; got != want {
		t.Errorf("it asks for %s, want %s", got, want)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

func TestWatchOutputs(t *testing.T) {
	t.Parallel()
	admin := newFakeAdmin(t)
	admin.ends = true
	address := serveHTTP(t, admin.ServeHTTP)
	table := pc(t, "connection", "--limit", "1", "-f", dumpFile)
	yaml := pc(t, "connection", "--limit", "1", "-f", dumpFile, "-o", "yaml")
	// A page of the gateway knows how many there are without the filter.
	for output, want := range map[string]string{"table": table + "\n" + table + "\n", "yaml": "---\n" + yaml + "---\n" + yaml} {
		code, stdout, stderr := runSluice("pc", "connection", "--watch", "--limit", "1", "-o", output, "--admin", address)
		if code != exitFailed || stdout != want || !strings.Contains(stderr, address+" has ended the connection") {
			t.Errorf("-o %s: exit code %d, %sstdout\n%swant\n%s", output, code, stderr, stdout, want)
		}
	}
	if code, _, stderr := runSluice("pc", "connection", "--watch", "--admin", serveHTTP(t, textHandler(404, "application/json", `{"error": "there is nothing at /events"}`))); code != exitFailed || stderr != "sluice: there is nothing at /events\n" {
		t.Errorf("a gateway without events: %d, %s", code, stderr)
	}
}

// openTerminal gives both ends of a pseudo terminal of 40 columns and 6 lines.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 6, Col: 40})
	}
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// On a terminal it draws in place, no wider and no higher than that is, and
// leaves it as it was.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	admin := startFakeAdmin(t)
	master, slave := openTerminal(t)
	cmd := startWatch(t, slave, "--admin", admin.address)
	slave.Close()
	out := bufio.NewReader(master)
	var drawn strings.Builder
	for !strings.HasSuffix(drawn.String(), clearBelow) || strings.Count(drawn.String(), clearBelow) < 2 {
		b, err := out.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, drawn.String())
		}
		drawn.WriteByte(b)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out) // EIO is the end of a terminal
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if !strings.HasPrefix(drawn.String(), openScreen+toTop) || string(rest) != closeScreen {
		t.Errorf("it draws %q, and at the end %q", drawn.String(), rest)
	}
	lines := strings.Split(strings.Split(drawn.String(), toTop)[1], "\r\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[2], "ID       SOURCE    ") || !strings.HasPrefix(lines[5], "... and 8 more") {
		t.Errorf("it draws %q", lines)
	}
	for _, line := range lines {
		if text, _, _ := strings.Cut(line, "\x1b"); len(text) > 40 {
			t.Errorf("a line has %d columns: %q", len(text), text)
		}
	}
}

func TestWatchTitle(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 15, 4, 5, 0, time.UTC)
	page := status.Connections{Connections: make([]status.Connection, 2), Total: 2}
	if got, want := watchTitle("127.0.0.1:9901", page, now), "127.0.0.1:9901  15:04:05  2 connections alive, 2 shown  (Ctrl-C ends)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	page.Next, page.Total = 2, 5000
	if got, want := watchTitle("127.0.0.1:9901", page, now), "127.0.0.1:9901  15:04:05  5000 connections alive, the first 2 shown  (Ctrl-C ends)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, stream, want string }{
		{"one", "event: a\ndata: x\n\n", "a=x"},
		{"two lines of data", "event: a\ndata: x\ndata:y\n\n", "a=x\ny"},
		{"an event without a name", "data: x\n\n", "=x"},
		{"carriage returns", "event: a\r\ndata: x\r\n\r\n", "a=x"},
		{"comments and other fields", ": hello\nid: 7\nretry\nevent: a\ndata: x\n\n", "a=x"},
		{"no data", "event: a\n\nevent: b\ndata\n\n", "b="},
		{"cut off", "event: a\ndata: x\n\nevent: b\ndata: y\n", "a=x"},
		{"nothing", "", ""},
	}
	for _, tc := range cases {
		var got []string
		err := readEvents(strings.NewReader(tc.stream), func(event string, data []byte) error {
			got = append(got, event+"="+string(data))
			return nil
		})
		if s := strings.Join(got, " "); err != nil || s != tc.want {
			t.Errorf("%s: %q, %v, want %q", tc.name, s, err, tc.want)
		}
	}
	if err := readEvents(strings.NewReader("data: x\n\n"), func(string, []byte) error { return io.ErrClosedPipe }); err != io.ErrClosedPipe {
		t.Errorf("the error of the caller becomes %v", err)
	}
}

// FuzzReadEvents: whatever a server sends, there is an end and no panic.
func FuzzReadEvents(f *testing.F) {
	f.Add("event: a\r\ndata: x\n\n:\n\ndata")
	f.Fuzz(func(t *testing.T, stream string) {
		n := 0
		if err := readEvents(strings.NewReader(stream), func(string, []byte) error { n++; return nil }); err != nil {
			t.Error(err)
		}
		if n > strings.Count(stream, "data") {
			t.Errorf("%d events in %q", n, stream)
		}
	})
}

// Pages are put together, and a gateway that leads in circles is found out.
func TestConnectionPages(t *testing.T) {
	t.Parallel()
	const alive = 2*status.MaxLimit + 5
	var dump dumpSource
	for id := range uint64(alive) {
		dump.saved.Connections.Connections = append(dump.saved.Connections.Connections, status.Connection{ID: id + 1})
	}
	dump.saved.Connections.Total = alive
	for limit, want := range map[int]int{0: alive, 1: 1, status.MaxLimit: status.MaxLimit, status.MaxLimit + 1: status.MaxLimit + 1, alive: alive} {
		page, err := allConnections(t.Context(), &dump, status.ConnectionFilter{}, limit)
		if err != nil || len(page.Connections) != want || page.Connections[want-1].ID != uint64(want) || (page.Next != 0) != (want < alive) {
			t.Errorf("limit %d: %d connections, next %d, %v", limit, len(page.Connections), page.Next, err)
		}
	}
	circle := serveHTTP(t, textHandler(200, "application/json", `{"connections": [], "total": 1, "next": 5}`))
	if code, _, stderr := runSluice("pc", "connection", "--limit", "0", "--admin", circle); code != exitFailed || !strings.Contains(stderr, "leads back to 5") {
		t.Errorf("a circle: exit code %d, %s", code, stderr)
	}
	if _, _, stderr := runSluice("pc", "connection", "--limit", "3", "-f", dumpFile); stderr != "sluice: these are the first 3 connections, and 10 are alive: --limit 0 shows all\n" {
		t.Errorf("a limit that holds says %s", stderr)
	}
}
