package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// nginxStream is the module that Debian ships apart from nginx.
const nginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// inherited gives n listening sockets for a program to inherit, as descriptors
// from 3 on, and their addresses. Connections wait in their queues until the
// program is ready, so nobody has to know when that is.
func inherited(t *testing.T, n int) (files []*os.File, addresses []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		files, addresses = append(files, file), append(addresses, ln.Addr().String())
	}
	return files, addresses
}

// startPeer runs another program until the test ends. The files are closed here.
func startPeer(t *testing.T, cmd *exec.Cmd, files []*os.File) {
	t.Helper()
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &said, &said, files
	err := cmd.Start()
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // to nginx's master, which ends its worker
		limit := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer limit.Stop()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said.String())
		}
	})
}

// writeConfig writes a program's configuration.
func writeConfig(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "peer.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// startHAProxy runs HAProxy. In its configuration fd@3 is the first socket.
func startHAProxy(t *testing.T, config string, sockets []*os.File) {
	t.Helper()
	_, file := writeConfig(t, `
global
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
`+config)
	startPeer(t, exec.Command("haproxy", "-db", "-f", file), sockets)
}

// startNginx runs nginx with a stream block. Its addresses must be those of the
// sockets, in the same order.
func startNginx(t *testing.T, stream string, sockets []*os.File) {
	t.Helper()
	dir, file := writeConfig(t, fmt.Sprintf(`
load_module %s;
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {}
stream {
%s
}
`, nginxStream, stream))
	cmd := exec.Command("nginx", "-p", dir, "-c", file, "-e", "stderr")
	// As a new nginx gets the sockets of an old one. It needs a master process
	// for that: alone, it looks for what the old one had and crashes.
	cmd.Env = append(os.Environ(), "NGINX=")
	for i := range sockets {
		cmd.Env[len(cmd.Env)-1] += fmt.Sprintf("%d;", 3+i)
	}
	startPeer(t, cmd, sockets)
}

func needHAProxy(t *testing.T) {
	t.Helper()
	needTool(t, "haproxy")
}

func needNginx(t *testing.T) {
	t.Helper()
	needTool(t, "nginx")
	_, err := os.Stat(nginxStream)
	need(t, "libnginx-mod-stream", err)
}

// ask sends a request and gives all that is answered.
func ask(t *testing.T, c net.Conn, request string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(2 * patience))
	send(t, c, []byte(request))
	b, end := readToEnd(c)
	if end != fin {
		t.Fatalf("the answer %q ended with %s", b, end)
	}
	return string(b)
}
