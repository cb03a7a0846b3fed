package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"
)

// tryTimeout bounds one connection of the demo, all on the loopback interface.
const tryTimeout = 10 * time.Second

// weightedTries is how many connections show the shares of weighted clusters.
const weightedTries = 40

// expectation is where the connections for a name have to go.
type expectation struct {
	serverName string
	times      int
	chain      string // "": refused
	tls        string
	endpoints  map[string][]string // those that may serve it, by cluster
}

// weighted tells whether the connections are to be shared between clusters, so
// that what they add up to says more than each of them.
func (e *expectation) weighted() bool { return len(e.endpoints) > 1 }

// demoExpectations are stated here and not derived from demo.hcl, so that they
// are a check of it.
var demoExpectations = []expectation{
	{"shop.test", 2, "shop", "passthrough", map[string][]string{"shop": {"shop-1", "shop-2"}}},
	{"api.test", 1, "api", "terminated", map[string][]string{"api": {"api-1"}}},
	{"one.apps.test", 1, "apps", "passthrough", map[string][]string{"apps": {"apps-1"}}},
	{"a.b.apps.test", 1, "apps", "passthrough", map[string][]string{"apps": {"apps-1"}}},
	{"www.test", weightedTries, "www", "passthrough", map[string][]string{"stable": {"stable-1"}, "canary": {"canary-1"}}},
	{"nobody.test", 1, "", "", nil},
}

// outcome is what became of a connection, as its client and the gateway saw it.
type outcome struct {
	source      string // the client's address
	backend     string // who answered
	certificate string // whose certificate the client saw and trusted
	err         error  // of the client
	record      accessRecord
}

// try makes a TLS connection for serverName, sends a request through it, and
// gives what the client saw. The error is about the attempt; what happened to
// the connection is the outcome.
func (d *demo) try(ctx context.Context, serverName string) (outcome, error) {
	dialer := net.Dialer{Timeout: tryTimeout}
	c, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	o := outcome{source: c.LocalAddr().String()}
	o.err = d.ask(c, serverName, &o)
	return o, nil
}

// ask does the client's part, and fills in what it saw.
func (d *demo) ask(c net.Conn, serverName string, o *outcome) error {
	if err := c.SetDeadline(time.Now().Add(tryTimeout)); err != nil {
		return err
	}
	client := tls.Client(c, &tls.Config{ServerName: serverName, RootCAs: d.backed.trust})
	if err := client.Handshake(); err != nil {
		return err
	}
	defer client.Close()
	o.certificate = d.backed.owners[string(client.ConnectionState().PeerCertificates[0].Raw)]
	if _, err := fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", serverName); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	o.backend = answer.Header.Get("Server")
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, client) // until the end: closing before it would be a reset
	return err
}

// check says everything that is not as expected. That the pieces agree with
// each other is part of it: the endpoint in the record is the backend that
// answered, and the certificate is its own unless TLS ended at the gateway.
func (e *expectation) check(o outcome) []string {
	var wrong []string
	expect := func(what, got, want string) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s: got %q, expected %q", what, got, want))
		}
	}
	expect("server name", o.record.SNI, e.serverName)
	expect("filter chain", o.record.FilterChain, e.chain)
	if e.chain == "" {
		if !errors.Is(o.err, syscall.ECONNRESET) {
			wrong = append(wrong, fmt.Sprintf("client: got %v, expected a reset", o.err))
		}
		expect("cluster", o.record.Cluster, "")
		expect("flags", o.record.Flags, "NR")
		return wrong
	}
	if o.err != nil {
		wrong = append(wrong, "client: "+o.err.Error())
	}
	if !slices.Contains(e.endpoints[o.record.Cluster], o.record.Endpoint) {
		wrong = append(wrong, fmt.Sprintf("served by %q of cluster %q, expected one of %v", o.record.Endpoint, o.record.Cluster, e.endpoints))
	}
	certificate := o.record.Endpoint
	if e.tls == "terminated" {
		certificate = gatewayOwner
	}
	expect("tls", o.record.TLS, e.tls)
	expect("answer from", o.backend, o.record.Endpoint)
	expect("certificate of", o.certificate, certificate)
	return wrong
}

// tryAll tries every name and prints where it went. The error says that some
// connection went elsewhere.
func (d *demo) tryAll(ctx context.Context) error {
	if err := d.printHeader(); err != nil {
		return err
	}
	tried, astray := 0, 0
	for i := range demoExpectations {
		e := &demoExpectations[i]
		outcomes, bad, err := d.tryName(ctx, e)
		if err != nil {
			return fmt.Errorf("trying %s: %w", e.serverName, err)
		}
		tried += len(outcomes)
		astray += bad
		if e.weighted() {
			if err := d.printShares(e, outcomes); err != nil {
				return err
			}
		}
	}
	if astray > 0 {
		return fmt.Errorf("%d of %s did not go where expected", astray, count(tried, "connection"))
	}
	_, err := fmt.Fprintf(d.out, "\n%s All %s went where they should.\n", d.paint.good("✓"), count(tried, "connection"))
	return err
}

// tryName makes the connections for one name, one after the other, and prints
// them. Their records are waited for at the end, since the gateway keeps each
// back for a while to write several at once.
func (d *demo) tryName(ctx context.Context, e *expectation) (outcomes []outcome, astray int, err error) {
	for range e.times {
		o, err := d.try(ctx, e.serverName)
		if err != nil {
			return nil, 0, err
		}
		outcomes = append(outcomes, o)
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.record, err = d.records.await(ctx, o.source); err != nil {
			return nil, 0, err
		}
		wrong := e.check(*o)
		if len(wrong) > 0 {
			astray++
		} else if e.weighted() {
			continue // printShares sums these up
		}
		if err := d.printOutcome(e, *o, wrong); err != nil {
			return nil, 0, err
		}
	}
	return outcomes, astray, nil
}
