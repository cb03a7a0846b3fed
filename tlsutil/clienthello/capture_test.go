package clienthello_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func goTLS12(t *testing.T) []byte {
	return goHello(t, &tls.Config{ServerName: "a.test", MaxVersion: tls.VersionTLS12})
}

func goTLS13(t *testing.T) []byte {
	return goHello(t, &tls.Config{ServerName: "a.test", MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"}, CurvePreferences: []tls.CurveID{tls.X25519}})
}

func goDefault(t *testing.T) []byte {
	return goHello(t, &tls.Config{ServerName: "a.test", NextProtos: []string{"h2", "http/1.1"}})
}

func goNoName(t *testing.T) []byte {
	return goHello(t, &tls.Config{ServerName: "192.0.2.1"}) // the client leaves addresses out
}

func goECH(t *testing.T) []byte {
	return goHello(t, &tls.Config{ServerName: "secret.test", MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"}, EncryptedClientHelloConfigList: echConfigList(t, "public.test")})
}

// goHello is what a crypto/tls client with this configuration writes first.
func goHello(t *testing.T, config *tls.Config) []byte {
	client, server := net.Pipe()
	done := make(chan struct{})
	go handshakeInVain(tls.Client(client, config), done)
	hello := readRecord(t, server)
	server.Close()
	<-done
	return hello
}

// handshakeInVain runs a handshake whose other end goes away.
func handshakeInVain(c *tls.Conn, done chan<- struct{}) {
	defer close(done)
	defer c.Close()
	c.Handshake()
}

func readRecord(t *testing.T, c net.Conn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	header := make([]byte, 5)
	if _, err := io.ReadFull(c, header); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	return append(header, payload...)
}

// goResumption is the hello with a pre_shared_key of the session before.
func goResumption(t *testing.T) []byte {
	certificate, err := tls.X509KeyPair(selfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go greet(ln, done)
	client, err := tls.Dial("tcp", ln.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(client); err != nil { // reads the session ticket too
		t.Fatal(err)
	}
	client.Close()
	<-done
	hello := goHello(t, config)
	if !bytes.Contains(hello, []byte{0, 41}) {
		t.Fatal("the client did not resume its session")
	}
	return hello
}

// greet is a server that says one word to one client.
func greet(ln net.Listener, done chan<- struct{}) {
	defer close(done)
	c, err := ln.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	c.Write([]byte("hello"))
}

// selfSigned is a certificate that nobody verifies, with its key, in PEM.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// echConfigList is an ECHConfigList (RFC 9849 §4) with a fresh X25519 key.
func echConfigList(t *testing.T, publicName string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	contents := []byte{1, 0, 0x20} // config_id, DHKEM(X25519, HKDF-SHA256)
	contents = append(contents, prefixed(key.PublicKey().Bytes())...)
	contents = append(contents, prefixed([]byte{0, 1, 0, 1})...) // HKDF-SHA256, AES-128-GCM
	contents = append(contents, 32, byte(len(publicName)))       // maximum_name_length
	contents = append(contents, publicName...)
	contents = append(contents, 0, 0) // no extensions
	return prefixed(append([]byte{0xfe, 0x0d}, prefixed(contents)...))
}

func prefixed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// openssl captures the hello of s_client with these arguments.
func openssl(args ...string) func(*testing.T) []byte {
	return func(t *testing.T) []byte {
		return captureCommand(t, 1, func(addr string) []string {
			return append([]string{"openssl", "s_client", "-connect", addr}, args...)
		})
	}
}

// curl captures the hello of curl for a URL with this host.
func curl(host string) func(*testing.T) []byte {
	return func(t *testing.T) []byte {
		return captureCommand(t, 1, func(addr string) []string {
			_, port, _ := net.SplitHostPort(addr)
			return []string{"curl", "--silent", "--insecure", "--noproxy", "*", "--connect-to", "::" + addr, "https://" + net.JoinHostPort(host, port) + "/"}
		})
	}
}

// captureCommand runs a client against a listener and reads so many records
// of what it sends. It gets no answer.
func captureCommand(t *testing.T, records int, command func(addr string) []string) []byte {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	args := command(ln.Addr().String())
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // it ends, in failure, once the connection is closed
	defer ln.Close()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var flight []byte
	for range records {
		flight = append(flight, readRecord(t, c)...)
	}
	return flight
}

// opensslEarlyData is the first flight of a client that resumes a session and
// sends data with its hello. The session comes from s_server.
func opensslEarlyData(t *testing.T) []byte {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	certPEM, keyPEM := selfSigned(t)
	for name, data := range map[string][]byte{"cert": certPEM, "key": keyPEM, "early": []byte("GET /early HTTP/1.0\r\n\r\n")} {
		if err := os.WriteFile(file(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := exec.CommandContext(ctx, "openssl", "s_server", "-accept", "127.0.0.1:0",
		"-cert", file("cert"), "-key", file("key"), "-early_data")
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.StdinPipe(); err != nil { // it would hang up at the end of its input
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer cancel()
	addr := ""
	for lines := bufio.NewScanner(stdout); addr == "" && lines.Scan(); {
		addr, _ = strings.CutPrefix(lines.Text(), "ACCEPT ")
		if addr == lines.Text() {
			addr = ""
		}
	}
	saveSession(t, addr, file("session"))
	const records = 3 // the hello, a change_cipher_spec, the early data
	return captureCommand(t, records, func(addr string) []string {
		return []string{"openssl", "s_client", "-connect", addr, "-servername", "a.test",
			"-sess_in", file("session"), "-early_data", file("early")}
	})
}

// saveSession lets s_client have a session of the server at addr.
func saveSession(t *testing.T, addr, file string) {
	client := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", addr, "-servername", "a.test", "-sess_out", file)
	stdin, err := client.StdinPipe() // open as long as the session is not there
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no session from openssl s_server")
		}
	}
	stdin.Close()
	client.Wait()
}
