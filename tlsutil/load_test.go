package tlsutil

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

func encode(t *testing.T, blockType string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// lineAfter gives the line at which something appended to data begins. DER
// signatures differ in length, so it is not the same in every run.
func lineAfter(data []byte) int { return bytes.Count(data, []byte("\n")) + 1 }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// damage breaks the base64 of the first block.
func damage(data []byte) []byte {
	end := bytes.IndexByte(data, '\n') + 5
	return join(data[:end], []byte("!"), data[end+1:])
}

func TestLoadCertificate(t *testing.T) {
	t.Parallel()
	sub := servers().Subordinate("Issuing CA")
	certPEM, keyPEM := sub.Issue(certgen.Options{Names: []string{"api.example.com"}})
	pkcs8, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(pkcs8.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	ecKey := encode(t, "EC PRIVATE KEY", sec1, err)
	rsaCert, rsaPKCS8 := rsaPair()
	block, _ := pem.Decode(rsaPKCS8)
	rsaKey, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := encode(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey.(*rsa.PrivateKey)), nil)
	edCert, edKey := servers().Issue(certgen.Options{Key: certgen.Ed25519})
	params := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")

	tests := []struct {
		name      string
		cert, key []byte
		chain     int
	}{
		{"PKCS #8", certPEM, keyPEM, 2},
		{"EC key", certPEM, ecKey, 2},
		{"EC key with parameters", certPEM, join(params, ecKey), 2},
		{"RSA key", rsaCert, pkcs1, 1},
		{"Ed25519 key", edCert, edKey, 1},
		{"key and certificates in both files", join(keyPEM, certPEM), join(certPEM, keyPEM), 2},
		{"text around blocks", join([]byte("Certificate:\n    Data:\n"), certPEM, []byte("\ntrailer")), keyPEM, 2},
		{"CRLF", bytes.ReplaceAll(certPEM, []byte("\n"), []byte("\r\n")), keyPEM, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string][]byte{"c.pem": tt.cert, "c.key": tt.key})
			certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "c.key")
			c, err := LoadCertificate(certFile, keyFile)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Certificate.Certificate) != tt.chain || c.Leaf == nil {
				t.Errorf("%d certificates, leaf %v; want %d", len(c.Certificate.Certificate), c.Leaf, tt.chain)
			}
			if c.CertFile != certFile || c.KeyFile != keyFile {
				t.Errorf("files %q and %q", c.CertFile, c.KeyFile)
			}
			wantOutcome(t, shake(mustConfig(t, ServerOptions{Certificates: []*Certificate{c}}), &client{}), "", "")
		})
	}
}

func TestLoadCertificateErrors(t *testing.T) {
	t.Parallel()
	certPEM, keyPEM := servers().Issue(certgen.Options{Names: []string{"api.example.com"}})
	otherCert, otherKey := servers().Issue(certgen.Options{})
	certDER, _ := pem.Decode(certPEM)
	keyDER, _ := pem.Decode(keyPEM)
	notCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	notKey := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	oldEncrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("x"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER, err := x509.MarshalPKCS8PrivateKey(p224)
	p224Key := encode(t, "PRIVATE KEY", p224DER, err)
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	exchangeDER, err := x509.MarshalPKCS8PrivateKey(exchange)
	exchangeKey := encode(t, "PRIVATE KEY", exchangeDER, err)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	shortKey := encode(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(short), nil)

	const use = "; use ECDSA (P-256, P-384, P-521), Ed25519, or RSA of at least 2048 bits"
	tests := []struct {
		name      string
		cert, key []byte // nil: there is no such file
		blame     string
		want      string
	}{
		{"no certificate file", nil, keyPEM, "c.pem",
			"file cannot be read: no such file or directory; give the path of a file that the gateway's user may read"},
		{"no key file", certPEM, nil, "c.key",
			"file cannot be read: no such file or directory; give the path of a file that the gateway's user may read"},
		{"empty certificate file", []byte{}, keyPEM, "c.pem",
			"no PEM certificate found: give a file with a block that begins with -----BEGIN CERTIFICATE-----"},
		{"files exchanged", keyPEM, certPEM, "c.pem",
			"no PEM certificate found: give a file with a block that begins with -----BEGIN CERTIFICATE-----"},
		{"DER certificate", certDER.Bytes, keyPEM, "c.pem",
			"no PEM certificate found: it seems to be DER; convert it: openssl x509 -inform der -in $DIR/c.pem -out new.pem"},
		{"DER key", certPEM, keyDER.Bytes, "c.key",
			"no PEM private key found: it seems to be DER; convert it: openssl pkey -inform der -in $DIR/c.key -out new.key"},
		{"invalid certificate", join(certPEM, notCert), keyPEM, "c.pem",
			fmt.Sprintf("invalid certificate: the block that begins in line %d is not a certificate (x509: malformed certificate); "+
				"have it issued again", lineAfter(certPEM))},
		{"damaged certificate", join([]byte("# first\n"), damage(certPEM), otherCert), keyPEM, "c.pem",
			"damaged PEM block: the block that begins in line 2 cannot be decoded; copy the file again from where it came, or remove the block"},
		{"truncated certificate", certPEM[:len(certPEM)-10], keyPEM, "c.pem",
			"damaged PEM block: the block that begins in line 1 cannot be decoded; copy the file again from where it came, or remove the block"},
		{"no key", certPEM, certPEM, "c.key",
			"no PEM private key found: give a file with a block that begins with -----BEGIN PRIVATE KEY-----"},
		{"two keys", certPEM, join(keyPEM, otherKey), "c.key",
			"several private keys found: the file holds 2; keep only the one which the certificate was issued for"},
		{"invalid key", certPEM, notKey, "c.key",
			"invalid private key: the block that begins in line 1 cannot be read (PARSER); copy the file again from where it came"},
		{"encrypted key", certPEM, encrypted, "c.key", "encrypted private key: nobody is there to type a passphrase; " +
			"decrypt it: openssl pkey -in $DIR/c.key -out new.key, and let only the gateway's user read it"},
		{"key encrypted the old way", certPEM, oldEncrypted, "c.key", "encrypted private key: nobody is there to type a passphrase; " +
			"decrypt it: openssl pkey -in $DIR/c.key -out new.key, and let only the gateway's user read it"},
		{"key of another certificate", certPEM, otherKey, "c.key", `key does not match certificate: the certificate in "$DIR/c.pem" ` +
			"was issued for another key; give the key it was requested with"},
		{"issuer first", join(otherCert, certPEM), keyPEM, "c.pem", `certificates in wrong order: the key in "$DIR/c.key" belongs to ` +
			"certificate 2 of the file; put the server's own certificate first, then the ones that signed it"},
		{"P-224", certPEM, p224Key, "c.key", "unsupported private key: TLS has no signatures on the curve P-224" + use},
		{"X25519", certPEM, exchangeKey, "c.key", "unsupported private key: a key of type *ecdh.PrivateKey cannot sign" + use},
		{"short RSA", certPEM, shortKey, "c.key", "unsupported private key: an RSA key of 1024 bits is too short" + use},
		{"DSA", certPEM, pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: []byte("x")}), "c.key",
			`unsupported private key: the block type is "DSA PRIVATE KEY"` + use},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			contents := map[string][]byte{"c.pem": tt.cert, "c.key": tt.key}
			for name, data := range contents {
				if data == nil {
					delete(contents, name)
				}
			}
			dir := files(t, contents)
			c, err := LoadCertificate(filepath.Join(dir, "c.pem"), filepath.Join(dir, "c.key"))
			if c != nil {
				t.Errorf("got a certificate with the error")
			}
			if le, ok := errors.AsType[*LoadError](err); ok && le.Err != nil {
				// The parser's words are not ours to fix.
				tt.want = strings.ReplaceAll(tt.want, "PARSER", le.Err.Error())
			}
			wantLoadError(t, err, dir, tt.blame, tt.want)
		})
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	c := issue(servers(), certgen.Options{NotAfter: end})
	if !c.NotAfter().Equal(end) {
		t.Errorf("NotAfter = %v, want %v", c.NotAfter(), end)
	}
	if c.Expired(end) || !c.Expired(end.Add(time.Second)) {
		t.Error("a certificate is good up to its last second and no longer")
	}
}

// TestLoadErrorUnwraps lets a caller ask for the cause.
func TestLoadErrorUnwraps(t *testing.T) {
	t.Parallel()
	_, err := LoadCAs(filepath.Join(t.TempDir(), "none.pem"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("errors.Is(%v, fs.ErrNotExist) = false", err)
	}
}

// FuzzPEMBlocks compares with a count of lines: a block that is not reported
// must be an error.
func FuzzPEMBlocks(f *testing.F) {
	pair, key := servers().Issue(certgen.Options{})
	f.Add(join(pair, key))
	f.Add(damage(pair))
	f.Add(pair[:100])
	f.Add([]byte("-----BEGIN A-----\n-----END A-----\n"))
	f.Add([]byte("-----BEGIN -----BEGIN A-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := pemBlocks("fuzz.pem", data)
		if err != nil {
			return
		}
		if got, want := len(blocks), bytes.Count(data, pemBegin); got != want {
			t.Errorf("%d blocks of %d without an error", got, want)
		}
		for _, b := range blocks {
			lines := bytes.Split(data, []byte("\n"))
			if !bytes.HasPrefix(lines[b.line-1], []byte("-----BEGIN "+b.Type)) {
				t.Errorf("line %d is %q, not the begin of %q", b.line, lines[b.line-1], b.Type)
			}
		}
	})
}

func TestFilesThatAreNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	large, pipe := filepath.Join(dir, "large"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"/dev/zero": "it is not a regular file",
		pipe:        "it is not a regular file",
		dir:         "it is a directory",
		large:       "it has more than 64 MiB",
	} {
		if _, err := LoadCAs(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", file, err, want)
		}
	}
}
