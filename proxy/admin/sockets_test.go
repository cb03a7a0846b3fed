package admin

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

// TestSocketIsGuarded by its mode and group.
func TestSocketIsGuarded(t *testing.T) {
	t.Parallel()
	gid := os.Getgid()
	cfg := load(t, "address = \"unix:admin.sock\"\nmode = \"0640\"\ngroup = \""+strconv.Itoa(gid)+"\"", "")
	s := serve(t, cfg)
	info, err := os.Stat(cfg.Admin.Address.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o640 || int(info.Sys().(*syscall.Stat_t).Gid) != gid {
		t.Errorf("the socket is %v", info.Mode())
	}
	s.server.Close()
	if _, err := os.Stat(cfg.Admin.Address.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestSocketIsPrivateAtFirst: before it has its mode, nobody else gets in.
func TestSocketIsPrivateAtFirst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := listenPrivately(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
}

// TestSocketPath has what may be at the path already.
func TestSocketPath(t *testing.T) {
	t.Parallel()
	t.Run("left over", func(t *testing.T) {
		t.Parallel()
		cfg := socket(t)
		ln, err := net.Listen("unix", cfg.Admin.Address.Path)
		if err != nil {
			t.Fatal(err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		ln.Close()
		serve(t, cfg).expect("GET", "/ready", "", 200, "")
	})
	t.Run("in use", func(t *testing.T) {
		t.Parallel()
		cfg := socket(t)
		s := serve(t, cfg)
		if _, err := Bind(cfg, nil, zerolog.Nop()); err == nil || !strings.HasSuffix(err.Error(), "admin.sock: address in use: another program listens there already") {
			t.Errorf("the error is %v", err)
		}
		s.expect("GET", "/ready", "", 200, "")
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		cfg := socket(t)
		writeFile(t, cfg.Admin.Address.Path, "precious")
		if _, err := Bind(cfg, nil, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "no socket: remove it") {
			t.Errorf("the error is %v", err)
		}
		if text, err := os.ReadFile(cfg.Admin.Address.Path); string(text) != "precious" {
			t.Errorf("the file is %q, %v", text, err)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		t.Parallel()
		cfg := socket(t)
		cfg.Admin.Address.Path = filepath.Join(t.TempDir(), "none", "admin.sock")
		if _, err := Bind(cfg, nil, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "RuntimeDirectory") {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestAddressTaken: what the user wrote must be had, and what nobody wrote is
// done without.
func TestAddressTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()

	written := load(t, `address = "`+address+`"`, "")
	if _, err := Bind(written, nil, zerolog.Nop()); err == nil || err.Error() != "the admin address "+address+": address in use: another program listens there already" {
		t.Errorf("the error is %v", err)
	}
	written.Admin.AddressHidden = true
	if _, err := Bind(written, nil, zerolog.Nop()); err == nil || strings.Contains(err.Error(), address) {
		t.Errorf("the error is %v", err)
	}

	byDefault := load(t, `address = "`+address+`"`, "")
	byDefault.Admin.Written = false
	s := serve(t, byDefault)
	if got := s.log.String(); strings.Count(got, `"level":"warn"`) != 1 || !strings.Contains(got, "admin { enabled = false }") {
		t.Errorf("the log is\n%s", got)
	}
	s.expect("GET", s.metrics+"/ready", "", 200, "")

	cfg := loopback(t, "")
	a := cfg.Admin.Address
	a.AddrPort = taken.Addr().(*net.TCPAddr).AddrPort()
	cfg.Metrics.Address = &a
	if _, err := Bind(cfg, nil, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), "the metrics address "+address) {
		t.Errorf("the error is %v", err)
	}
}

// TestDisabled: there is then no socket, and nothing that could fail.
func TestDisabled(t *testing.T) {
	t.Parallel()
	cfg := load(t, "enabled = false", "")
	cfg.Metrics = config.Metrics{}
	sockets, err := Bind(cfg, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if admin, metrics := sockets.Addresses(); admin != "" || metrics != "" || sockets.Descriptors() != 0 {
		t.Errorf("it listens on %q and %q", admin, metrics)
	}
	sockets.Serve(Options{Gateway: newFake()}).Close()
}

// TestEncrypted: an address with certificates speaks TLS, and nothing else.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	s := serve(t, open(t))
	answer := s.expect("GET", "/ready", "", 200, "")
	if answer.TLS.Version != tls.VersionTLS13 || answer.ProtoMajor != 1 {
		t.Errorf("it speaks TLS %x and %s", answer.TLS.Version, answer.Proto)
	}
	conn := dial(t, strings.TrimPrefix(s.base, "https://"))
	io.WriteString(conn, "GET /server_info HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if text, _ := io.ReadAll(conn); strings.Contains(string(text), "version") {
		t.Errorf("it speaks plain HTTP:\n%s", text)
	}
}

// TestConnectionLimit: more than there may be wait, and get their turn.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	address := strings.TrimPrefix(s.metrics, "http://")
	var idle []net.Conn
	for range maxMetricsConnections {
		conn := dial(t, address)
		io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	waiting := dial(t, address)
	io.WriteString(waiting, "GET /healthz HTTP/1.0\r\n\r\n")
	if err := waiting.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Errorf("one more than there may be has got %d bytes", n)
	}
	s.expect("GET", "/ready", "", 200, "")
	idle[0].Close()
	if err := waiting.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(waiting); err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200 OK") {
		t.Errorf("when its turn has come it gets %q, %v", text, err)
	}
}

// TestLargeHeader is refused without being kept.
func TestLargeHeader(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	conn := dial(t, strings.TrimPrefix(s.base, "http://"))
	io.WriteString(conn, "GET /ready HTTP/1.1\r\nHost: localhost\r\nX-Large: "+strings.Repeat("x", 4*maxHeader)+"\r\n\r\n")
	// A reset may come before the answer was read, since not all of the request
	// was.
	if text, _ := io.ReadAll(conn); len(text) > 0 && !strings.HasPrefix(string(text), "HTTP/1.1 431 ") {
		t.Errorf("it gives\n%s", text)
	}
}

// TestCloseDoesNotWaitForIdlers, neither for those who ask nothing nor for those
// who do not read what they asked for.
func TestCloseDoesNotWaitForIdlers(t *testing.T) {
	t.Parallel()
	s := serve(t, loopback(t, ""))
	address := strings.TrimPrefix(s.base, "http://")
	dial(t, address)
	half := dial(t, address)
	io.WriteString(half, "GET /connections HTTP/1.1\r\nHos")
	s.gateway.mu.Lock()
	s.gateway.stuck = true
	s.gateway.mu.Unlock()
	unanswered := dial(t, address)
	io.WriteString(unanswered, "GET /connections HTTP/1.1\r\nHost: localhost\r\n\r\n")
	deaf := dial(t, address)
	io.WriteString(deaf, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	deaf.Read(make([]byte, 1))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.server.Close()
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if _, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		t.Error("it can still be connected to")
	}
}
