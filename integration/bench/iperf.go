package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"
)

func hasIperf() bool {
	_, err := exec.LookPath("iperf3")
	return err == nil
}

// startIperf starts an iperf3 server where the backend would be.
func (b *bench) startIperf(n *network) (*process, []string, error) {
	address, err := freeAddress(n.backendAddress)
	if err != nil {
		return nil, nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	p, err := startProcess(n.backend, "iperf3", "-s", "-B", n.backendAddress, "-p", port, "--forceflush")
	if err != nil {
		return nil, nil, err
	}
	timer := time.NewTimer(answerGrace)
	defer timer.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return p, nil, p.failure("ended early")
			}
			if bytes.Contains(line, []byte("listening")) {
				return p, []string{address}, nil
			}
		case <-timer.C:
			return p, nil, p.failure("does not listen")
		case <-b.ctx.Done():
			return p, nil, b.ctx.Err()
		}
	}
}

// iperfResult is what is read of iperf3 -J.
type iperfResult struct {
	Error string `json:"error"`
	End   struct {
		Received struct {
			Bytes   float64 `json:"bytes"`
			Seconds float64 `json:"seconds"`
		} `json:"sum_received"`
	} `json:"end"`
}

// iperfAttempts: a server that was asked by a connection without content, as
// the one that waits for the peer makes, closes its port for a moment.
const iperfAttempts = 5

// measureIperf has iperf3 download through the peer, in whole seconds, which is
// all it knows. The peer's clock covers the client's life, its set-up included.
func (b *bench) measureIperf(r *row, s *site, srv *server) (one sample, err error) {
	for range iperfAttempts {
		if one, err = b.tryIperf(r, s, srv); err == nil || b.ctx.Err() != nil {
			return one, err
		}
		time.Sleep(settling)
	}
	return nil, err
}

func (b *bench) tryIperf(r *row, s *site, srv *server) (sample, error) {
	pids, err := processTree(srv.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	before, err := cpuTime(pids)
	if err != nil {
		return nil, err
	}
	result, err := b.runIperf(r, s, srv)
	if err != nil {
		return nil, err
	}
	after, err := cpuTime(pids)
	if err != nil {
		return nil, err
	}
	units := result.End.Received.Bytes / r.unit.scale()
	return sample{
		metricCPU:  float64(after-before) / units,
		metricRate: units / result.End.Received.Seconds,
	}, nil
}

func (b *bench) runIperf(r *row, s *site, srv *server) (*iperfResult, error) {
	host, port, err := net.SplitHostPort(srv.address)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	seconds := max(int(b.window.Seconds()+0.5), 1)
	client, err := startProcess(s.client, "iperf3", "-c", host, "-p", port, "-J", "-R",
		"-P", strconv.Itoa(r.connections), "-t", strconv.Itoa(seconds), "--connect-timeout", "5000")
	if err != nil {
		return nil, err
	}
	defer client.stop()
	timer := time.NewTimer(time.Duration(seconds)*time.Second + answerGrace)
	defer timer.Stop()
	var text bytes.Buffer
	for {
		select {
		case line, ok := <-client.lines:
			if ok {
				text.Write(line)
				continue
			}
			return parseIperf(text.Bytes())
		case <-timer.C:
			return nil, client.failure("does not end")
		case <-b.ctx.Done():
			return nil, b.ctx.Err()
		}
	}
}

func parseIperf(text []byte) (*iperfResult, error) {
	var result iperfResult
	if err := json.Unmarshal(text, &result); err != nil {
		return nil, fmt.Errorf("reading what iperf3 says: %w: %.200s", err, text)
	}
	if result.Error != "" {
		return nil, errors.New("iperf3: " + result.Error)
	}
	if result.End.Received.Bytes == 0 || result.End.Received.Seconds == 0 {
		return nil, errors.New("iperf3 received nothing")
	}
	return &result, nil
}
