package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"

	"sluice/tlsutil/certgen"
)

// gatewayOwner stands for the gateway where the owner of a certificate is named.
const gatewayOwner = "gateway"

// demoBackends are the endpoints of demo.hcl, with the names in their
// certificates; one without names speaks no TLS.
var demoBackends = []struct {
	name  string
	names []string
}{
	{"shop-1", []string{"shop.test"}},
	{"shop-2", []string{"shop.test"}},
	{"api-1", nil},
	{"apps-1", []string{"*.apps.test", "*.b.apps.test"}},
	{"stable-1", []string{"www.test"}},
	{"canary-1", []string{"www.test"}},
}

// backends are the servers behind the demo's gateway, and the certificates of
// all.
type backends struct {
	port   map[string]int
	owners map[string]string // who has a certificate, by its DER bytes
	trust  *x509.CertPool

	ctx     context.Context // ends with the backends
	cancel  context.CancelFunc
	running sync.WaitGroup // listeners and connections
}

// startBackends starts the servers. The gateway's certificate and that of the
// authority are written into dir: gateway.pem, gateway.key, ca.pem.
func startBackends(dir string) (*backends, error) {
	ca := certgen.NewAuthority("sluice demo CA")
	b := &backends{port: map[string]int{}, owners: map[string]string{}, trust: ca.Pool()}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca.CAPEM(), 0o644); err != nil {
		return nil, err
	}
	certFile, keyFile, err := ca.WriteFiles(dir, "gateway", certgen.Options{Names: []string{"api.test"}})
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	b.owners[string(cert.Certificate[0])] = gatewayOwner
	for _, spec := range demoBackends {
		if err := b.start(ca, spec.name, spec.names); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *backends) start(ca *certgen.Authority, name string, names []string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.port[name] = ln.Addr().(*net.TCPAddr).Port
	back := &backend{name: name}
	if names != nil {
		cert, err := tls.X509KeyPair(ca.Issue(certgen.Options{Names: names}))
		if err != nil {
			panic("BUG: a certificate and its key: " + err.Error())
		}
		b.owners[string(cert.Certificate[0])] = name
		back.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	b.running.Add(1)
	go b.serve(back, ln)
	return nil
}

// serve accepts connections until the backends end.
func (b *backends) serve(back *backend, ln net.Listener) {
	defer b.running.Done()
	defer context.AfterFunc(b.ctx, func() { ln.Close() })()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		b.running.Add(1)
		go b.answer(back, c.(*net.TCPConn))
	}
}

func (b *backends) answer(back *backend, c *net.TCPConn) {
	defer b.running.Done()
	defer context.AfterFunc(b.ctx, func() { c.Close() })()
	back.answer(c)
}

// ports gives the ports as the value of a variable: a JSON object is HCL too.
func (b *backends) ports() string {
	text, err := json.Marshal(b.port)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

func (b *backends) close() {
	b.cancel()
	b.running.Wait()
}
