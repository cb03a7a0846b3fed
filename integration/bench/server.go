package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// server is a peer at work.
type server struct {
	*process
	address string
	dir     string
	load    time.Duration // from start until the port accepted
	memory  int64         // resident bytes then
	admin   string        // where it is asked; "": nowhere
	asking  *asking       // what is asked for as long as it runs; nil: nothing
}

// startServer configures and starts a peer and waits until its port accepts.
func (b *bench) startServer(r *row, s *site, p *peer) (*server, error) {
	dir, err := os.MkdirTemp(b.dir, p.name)
	if err != nil {
		return nil, err
	}
	srv := &server{dir: dir}
	if srv.address, err = freeAddress(s.proxyAddress); err != nil {
		return nil, err
	}
	if p.asked != nothing {
		if srv.admin, err = freeAddress("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	files := p.configure(setup{
		mode: r.mode, bulk: r.unit == gigabytes, listen: srv.address, admin: srv.admin, backends: s.endpoints[p.name],
		names: namesOf(r.names), workers: r.workers, descriptors: b.descriptors, dir: dir, cert: b.cert,
	})
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), 0o600); err != nil {
			return nil, err
		}
	}
	b.report.addConfigs(p, r, files)
	began := time.Now()
	if srv.process, err = startProcess(s.network.proxy, p.command(dir)...); err != nil {
		return nil, err
	}
	if err := b.awaitServer(s, srv); err != nil {
		srv.stop()
		return nil, fmt.Errorf("%s does not start: %w: %s", p.name, err, srv.stderr)
	}
	srv.load = time.Since(began)
	pids, err := processTree(srv.cmd.Process.Pid)
	if err == nil {
		var f footprint
		f, err = measureFootprint(pids)
		srv.memory = f.resident
	}
	if err == nil && r.method != byAsking {
		srv.asking, err = ask(b.ctx, srv.admin, p.asked)
	}
	if err != nil {
		srv.stop()
		return nil, err
	}
	return srv, nil
}

// awaitServer waits from where the clients will be.
func (b *bench) awaitServer(s *site, srv *server) error {
	if s.client == "" {
		return await(b.ctx, srv.address, srv.running)
	}
	waiter, err := startProcess(s.client, b.self, "await", srv.address)
	if err != nil {
		return err
	}
	defer waiter.stop()
	select {
	case <-waiter.exited:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	if code := waiter.cmd.ProcessState.ExitCode(); code != 0 {
		return waiter.failure("gives up")
	}
	return nil
}

// stop ends the peer and removes its files. A nil server is stopped.
func (s *server) stop() {
	if s == nil {
		return
	}
	s.asking.stop()
	s.process.stop()
	// The temporary directory of the run goes at its end in any case.
	_ = os.RemoveAll(s.dir)
}

// freeAddress is a port that nobody listens on just now. In the namespaces of a
// veth row nobody listens on any.
func freeAddress(host string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return net.JoinHostPort(host, port), nil
}

// namesOf makes n names, the benched one in the middle.
func namesOf(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%06d.region-%02d.bench.test", i, i%37)
	}
	names[n/2] = benchedName
	return names
}
