package certgen_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"testing"
	"time"

	"sluice/tlsutil/certgen"
)

func ExampleAuthority_Issue() {
	ca := certgen.NewAuthority("Demo CA")
	certPEM, keyPEM := ca.Issue(certgen.Options{Names: []string{"app.localhost", "127.0.0.1"}})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: "app.localhost"})
	fmt.Println(pair.Leaf.DNSNames, pair.Leaf.IPAddresses, err)
	// Output: [app.localhost] [127.0.0.1] <nil>
}

func leaf(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIssue(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Root")
	until := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	tests := []struct {
		name  string
		o     certgen.Options
		algo  x509.PublicKeyAlgorithm
		usage x509.ExtKeyUsage
	}{
		{"zero value", certgen.Options{}, x509.ECDSA, x509.ExtKeyUsageServerAuth},
		{"ECDSA", certgen.Options{Key: certgen.ECDSA}, x509.ECDSA, x509.ExtKeyUsageServerAuth},
		{"RSA", certgen.Options{Key: certgen.RSA}, x509.RSA, x509.ExtKeyUsageServerAuth},
		{"Ed25519", certgen.Options{Key: certgen.Ed25519}, x509.Ed25519, x509.ExtKeyUsageServerAuth},
		{"client", certgen.Options{Client: true, URIs: []string{"spiffe://demo/a"}}, x509.ECDSA, x509.ExtKeyUsageClientAuth},
		{"short-lived", certgen.Options{NotAfter: until}, x509.ECDSA, x509.ExtKeyUsageServerAuth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			certPEM, keyPEM := ca.Issue(tt.o)
			if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
				t.Errorf("key and certificate: %v", err)
			}
			cert := leaf(t, certPEM)
			if cert.PublicKeyAlgorithm != tt.algo {
				t.Errorf("algorithm %v, want %v", cert.PublicKeyAlgorithm, tt.algo)
			}
			opts := x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{tt.usage}}
			if _, err := cert.Verify(opts); err != nil {
				t.Errorf("Verify: %v", err)
			}
			if len(cert.URIs) != len(tt.o.URIs) {
				t.Errorf("URIs %v, want %v", cert.URIs, tt.o.URIs)
			}
			if !tt.o.NotAfter.IsZero() && !cert.NotAfter.Equal(until) {
				t.Errorf("NotAfter %v, want %v", cert.NotAfter, until)
			}
		})
	}
}

func TestSubordinateSendsItsChain(t *testing.T) {
	t.Parallel()
	root := certgen.NewAuthority("Root")
	certPEM, keyPEM := root.Subordinate("Middle").Subordinate("Low").Issue(certgen.Options{})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 3 {
		t.Fatalf("%d certificates, want the leaf and two authorities", len(pair.Certificate))
	}
	between := x509.NewCertPool()
	between.AppendCertsFromPEM(certPEM)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: root.Pool(), Intermediates: between}); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestCRL(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Root")
	revoked, _ := ca.Issue(certgen.Options{})
	block, _ := pem.Decode(ca.CRL(revoked))
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(leaf(t, ca.CAPEM())); err != nil {
		t.Errorf("signature: %v", err)
	}
	if n := len(list.RevokedCertificateEntries); n != 1 ||
		list.RevokedCertificateEntries[0].SerialNumber.Cmp(leaf(t, revoked).SerialNumber) != 0 {
		t.Errorf("entries %v, want the one certificate", list.RevokedCertificateEntries)
	}
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	ca := certgen.NewAuthority("Root")
	certFile, keyFile, err := ca.WriteFiles(t.TempDir(), "app", certgen.Options{Names: []string{"app.localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("key file has mode %v, want 0600", info.Mode())
	}
	if _, _, err := ca.WriteFiles("/nonexistent", "app", certgen.Options{}); err == nil {
		t.Error("no error for a directory that does not exist")
	}
}
