package tlsutil

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

func TestLoadCAs(t *testing.T) {
	t.Parallel()
	a, b := certgen.NewAuthority("A"), certgen.NewAuthority("B")
	dir := files(t, map[string][]byte{"cas.pem": join([]byte("# A\n"), a.CAPEM(), []byte("# B\n"), b.CAPEM())})
	pool, err := LoadCAs(filepath.Join(dir, "cas.pem"))
	if err != nil {
		t.Fatal(err)
	}
	want := a.Pool()
	want.AppendCertsFromPEM(b.CAPEM())
	if !pool.Equal(want) {
		t.Error("the pool is not the two CAs of the file")
	}
}

func TestLoadCAsErrors(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("A")
	der, _ := pem.Decode(ca.CAPEM())
	_, key := ca.Issue(certgen.Options{})
	trusted := pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: der.Bytes})
	second := lineAfter(ca.CAPEM())
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"missing", nil, "file cannot be read: no such file or directory; give the path of a file that the gateway's user may read"},
		{"empty", []byte("# none yet\n"), "no PEM certificate found: give a file with a block that begins with -----BEGIN CERTIFICATE-----"},
		{"DER", der.Bytes, "no PEM certificate found: it seems to be DER; convert it: openssl x509 -inform der -in $DIR/ca.pem -out new.pem"},
		{"second damaged", join(ca.CAPEM(), damage(ca.CAPEM())), fmt.Sprintf("damaged PEM block: the block that begins in line %d "+
			"cannot be decoded; copy the file again from where it came, or remove the block", second)},
		{"first damaged", join(damage(ca.CAPEM()), ca.CAPEM()), "damaged PEM block: the block that begins in line 1 cannot be decoded; " +
			"copy the file again from where it came, or remove the block"},
		{"byte order mark", join([]byte("\ufeff"), ca.CAPEM()), "damaged PEM block: the block that begins in line 1 cannot be decoded; " +
			"copy the file again from where it came, or remove the block"},
		{"not a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "invalid certificate: " +
			"the block that begins in line 1 is not a certificate (x509: malformed certificate); have it issued again"},
		{"private key", join(ca.CAPEM(), key), fmt.Sprintf(`unexpected PEM block: line %d begins a block of type "PRIVATE KEY"; `+
			"ca_file takes only CERTIFICATE blocks, so remove it", second)},
		{"revocation list", join(ca.CAPEM(), ca.CRL()), fmt.Sprintf(`unexpected PEM block: line %d begins a block of type "X509 CRL"; `+
			"ca_file takes only CERTIFICATE blocks, so remove it", second)},
		{"OpenSSL's trusted certificate", trusted, `unexpected PEM block: line 1 begins a block of type "TRUSTED CERTIFICATE"; ` +
			"ca_file takes only CERTIFICATE blocks, so remove it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.data != nil {
				dir = files(t, map[string][]byte{"ca.pem": tt.data})
			}
			pool, err := LoadCAs(filepath.Join(dir, "ca.pem"))
			if pool != nil {
				t.Error("got a pool with the error")
			}
			wantLoadError(t, err, dir, "ca.pem", tt.want)
		})
	}
}

// TestLoadCAsManyNames: crypto/tls sends the names of all CAs, and there is room
// for only so many. At the limit handshakes succeed, and beyond it they would
// not, so such a file is refused.
func TestLoadCAsManyNames(t *testing.T) {
	t.Parallel()
	const big = 9000
	size := func(a *certgen.Authority) int {
		der, _ := pem.Decode(a.CAPEM())
		cert, err := x509.ParseCertificate(der.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return 2 + len(cert.RawSubject)
	}
	load := func(authorities ...*certgen.Authority) (*x509.CertPool, error) {
		var data []byte
		for _, a := range authorities {
			data = append(data, a.CAPEM()...)
		}
		data = append(data, authorities[0].CAPEM()...) // once more, which takes no room
		return LoadCAs(filepath.Join(files(t, map[string][]byte{"cas.pem": data}), "cas.pem"))
	}
	var authorities []*certgen.Authority
	room := maxCANames
	for room > 2*big {
		a := certgen.NewAuthority(fmt.Sprintf("%0*d", big, len(authorities)))
		authorities, room = append(authorities, a), room-size(a)
	}
	overhead := size(certgen.NewAuthority(strings.Repeat("x", big))) - big
	fits := certgen.NewAuthority(strings.Repeat("x", room-overhead))
	pool, err := load(append(authorities, fits)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustConfig(t, ServerOptions{ClientAuth: &ClientAuth{Required: true, CAs: pool}})
	for _, version := range bothVersions {
		out := shake(cfg, &client{cert: issue(fits, certgen.Options{Client: true}), version: version})
		wantOutcome(t, out, "", "")
	}

	tooLong := certgen.NewAuthority(strings.Repeat("x", room-overhead+1))
	_, err = load(append(authorities, tooLong)...)
	if want := "too many CAs: the names of its 7 CAs take 65001 bytes in a handshake, and there is room for 65000"; !strings.Contains(errText(err), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestLoadCRL(t *testing.T) {
	t.Parallel()
	a, b := certgen.NewAuthority("A"), certgen.NewAuthority("B")
	der, _ := pem.Decode(a.CRL())
	for name, data := range map[string][]byte{
		"PEM":         a.CRL(),
		"two PEM":     join(a.CRL(), b.CRL()),
		"DER":         der.Bytes,
		"PEM and CAs": a.CRL(b.CAPEM()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string][]byte{"crl": data, "cas.pem": join(b.CAPEM(), a.CAPEM())})
			lists, err := LoadCRL(filepath.Join(dir, "crl"), filepath.Join(dir, "cas.pem"))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(lists), max(1, bytes.Count(data, pemBegin)); got != want {
				t.Errorf("%d lists, want %d", got, want)
			}
		})
	}
}

// delta makes a revocation list with the critical extension that marks it as
// one which lists changes only (RFC 5280 §5.2.4).
func delta(t *testing.T) (caPEM, crlPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign,
		SubjectKeyId: []byte{1}, NotAfter: time.Now().Add(time.Hour)}
	caDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	caPEM = encode(t, "CERTIFICATE", caDER, err)
	list := &x509.RevocationList{Number: big.NewInt(2), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	list.ExtraExtensions = append(list.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}})
	crlDER, err := x509.CreateRevocationList(rand.Reader, list, template, key)
	return caPEM, encode(t, "X509 CRL", crlDER, err)
}

func TestLoadCRLErrors(t *testing.T) {
	t.Parallel()
	ca, stranger, sameName := certgen.NewAuthority("A"), certgen.NewAuthority("B"), certgen.NewAuthority("A")
	deltaCA, deltaCRL := delta(t)
	list := ca.CRL()
	_, key := ca.Issue(certgen.Options{})
	badDER := []byte{0x30, 0x82, 1, 1, 0}
	const unread = "file cannot be read: no such file or directory; give the path of a file that the gateway's user may read"
	tests := []struct {
		name    string
		ca, crl []byte
		blame   string
		want    string
	}{
		{"no CA file", nil, ca.CRL(), "ca.pem", unread},
		{"no list file", ca.CAPEM(), nil, "crl", unread},
		{"empty", ca.CAPEM(), []byte("\n"), "crl",
			"no revocation list found: give a DER list, or a file with a block that begins with -----BEGIN X509 CRL-----"},
		{"another block", ca.CAPEM(), key, "crl",
			`unexpected PEM block: line 1 begins a block of type "PRIVATE KEY"; crl_file takes only X509 CRL blocks, so remove it`},
		{"damaged", ca.CAPEM(), join(list, damage(list)), "crl",
			fmt.Sprintf("damaged PEM block: the block that begins in line %d cannot be decoded; "+
				"copy the file again from where it came, or remove the block", lineAfter(list))},
		{"invalid", ca.CAPEM(), badDER, "crl", "invalid revocation list: list 1 of the file cannot be read (x509: malformed crl); fetch it again from its CA"},
		{"of an unknown CA", ca.CAPEM(), stranger.CRL(), "crl",
			`revocation list not trusted: no CA in "$DIR/ca.pem" is named "CN=B"; add that CA to the file, or remove the list`},
		{"of another CA with the same name", ca.CAPEM(), sameName.CRL(), "crl",
			`revocation list not trusted: the CA "CN=A" in "$DIR/ca.pem" did not sign it (x509: ECDSA verification failure); ` +
				"fetch the list again from that CA"},
		{"delta", deltaCA, deltaCRL, "crl", `unsupported revocation list: the list of "" has the critical extension 2.5.29.27, ` +
			"so it covers only a part of its CA's certificates; have the CA issue a complete list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			contents := map[string][]byte{"ca.pem": tt.ca, "crl": tt.crl}
			for name, data := range contents {
				if data == nil {
					delete(contents, name)
				}
			}
			dir := files(t, contents)
			lists, err := LoadCRL(filepath.Join(dir, "crl"), filepath.Join(dir, "ca.pem"))
			if lists != nil {
				t.Error("got lists with the error")
			}
			wantLoadError(t, err, dir, tt.blame, tt.want)
		})
	}
}
