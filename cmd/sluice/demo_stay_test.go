package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"regexp"
	"testing"
	"time"
)

// What is printed can be pasted: the address is the gateway's and the file of
// the authority is there. The connection then shows up, and the end is kind.
func TestDemoStays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	d := &demo{out: write, diagnostics: write, source: demoSource, program: "sluice"}
	result := make(chan error, 1)
	go func() {
		result <- d.run(ctx)
		write.Close()
	}()
	out := bufio.NewScanner(read)
	await := func(pattern string) []string {
		t.Helper()
		for re := regexp.MustCompile(pattern); out.Scan(); {
			if m := re.FindStringSubmatch(out.Text()); m != nil {
				return m
			}
		}
		t.Fatalf("the demo ended without a line like %q: %v", pattern, <-result)
		return nil
	}

	ca := await(`^  curl --noproxy '\*' --cacert (\S+/ca\.pem) \\$`)[1]
	where := await(`^    --resolve (shop\.test):(\d+):(\S+) https://shop\.test:\d+/$`)
	await(`^  openssl s_client -brief -verify_return_error -connect ` + regexp.QuoteMeta(net.JoinHostPort(where[3], where[2])) + ` \\$`)
	await(`Ctrl-C ends the demo`)
	trusted, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	dialer := net.Dialer{Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(&dialer, "tcp", net.JoinHostPort(where[3], where[2]), &tls.Config{ServerName: where[1], RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	await(`^· shop\.test +shop +passthrough +shop +shop-[12] `)

	cancel()
	await(`^bye$`)
	if err := <-result; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	if _, err := os.Stat(ca); !os.IsNotExist(err) {
		t.Errorf("the file of the authority is left: %v", err)
	}
}
