package integration

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// visitFrom connects from an address of 127.0.0.0/8 and has something echoed.
// It gives nil when the gateway reset the connection instead, and fails on
// anything else.
func visitFrom(address, from string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", address)
	if err == nil {
		c.SetDeadline(time.Now().Add(2 * patience))
		if err = echoed(c, []byte("hello")); err == nil {
			return c, nil
		}
		c.Close()
	}
	// The reset can come before connect has returned.
	if isReset(err) || errors.Is(err, syscall.ENOTCONN) {
		return nil, nil
	}
	return nil, err
}

// waitRefusals waits until records tell of n refusals for a reason, and gives
// how many records that took.
func (p *process) waitRefusals(reason string, n int) (records int) {
	p.t.Helper()
	told := 0
	p.waitRecord(func(rec event) bool {
		if within(rec, "termination", "reason") == reason {
			told += max(int(number(rec, "count")), 1)
			records++
		}
		return told >= n
	})
	if told != n {
		p.t.Errorf("the records tell of %d refusals (%s), want %d", told, reason, n)
	}
	return records
}

// TestOneSourceFloods: who floods is held off by per_source, its refusals are
// counted by reason in few records, and everybody else is served meanwhile.
func TestOneSourceFloods(t *testing.T) {
	t.Parallel()
	const most, others, culprit = 5, 100, "127.0.0.66"
	flood := loadSize(1000)
	for _, c := range []struct{ limit, reason string }{
		{fmt.Sprintf("max_connections = %d", most), "source_connections"},
		{fmt.Sprintf("rate = 0.001\n burst = %d", most), "source_rate"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, fmt.Sprintf(`
listener "tcp" {
  address = "127.0.0.1:0"
  per_source { %s }
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, "\n"+c.limit+"\n", echoBackend(t)))
			began := time.Now()
			var served, refused atomic.Int64
			flooding := make(chan error, 1)
			go func() {
				flooding <- many(flood, func(int) error {
					conn, err := visitFrom(p.address("tcp"), culprit)
					switch {
					case err != nil:
						return err
					case conn == nil:
						refused.Add(1)
					default:
						served.Add(1) // it stays
						t.Cleanup(func() { conn.Close() })
					}
					return nil
				})
			}()
			v := visitor{plainKind, p.address("tcp")}
			for i := range others {
				conn, err := v.roundTrip() // from an address of its own
				if err != nil {
					t.Fatalf("client %d beside the flood: %v", i, err)
				}
				if err := leave(conn); err != nil {
					t.Errorf("client %d beside the flood: %v", i, err)
				}
			}
			if err := <-flooding; err != nil {
				t.Fatal(err)
			}
			if n := served.Load(); n != most {
				t.Errorf("the flood got %d connections, want %d", n, most)
			}
			if n := int(refused.Load()); n != flood-most {
				t.Errorf("%d of the flood were refused, want %d", n, flood-most)
			}
			records, seconds := p.waitRefusals(c.reason, flood-most), int(time.Since(began).Seconds())+1
			if records > 11*seconds { // ten, and one for all others
				t.Errorf("%d records tell of %d refusals in %d seconds", records, flood-most, seconds)
			}
			rec := p.waitRecord(func(rec event) bool { return number(rec, "count") > 0 })
			expectKeys(t, rec, "time type listener count source sources flags termination error")
			expectFields(t, rec, map[string]string{
				"type": "end", "listener": "tcp", "flags": "RL",
				"termination.reason": c.reason, "termination.side": "gateway",
			})
			if !strings.HasPrefix(text(rec, "source"), culprit+":") || number(rec, "sources") != 1 {
				t.Errorf("record %s, want the only source %s", asJSON(rec), culprit)
			}
		})
	}
}

// TestEachRefusalHasItsReason: the word in the record, with Envoy's flag where
// it has one.
func TestEachRefusalHasItsReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reason, flag, runtime, listener string }{
		{"process_limit", "OM", "runtime { max_connections = 1 }", ""},
		{"listener_limit", "OM", "", "max_connections = 1"},
		{"accept_rate", "RL", "", "accept_limit { rate = 0.001 }"},
		{"access_denied", "LR", "", `access { deny = ["127.0.0.9/32"] }`},
		{"source_connections", "RL", "", "per_source { max_connections = 1 }"},
		{"source_rate", "RL", "", "per_source { rate = 0.001 }"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			t.Parallel()
			p := startSluice(t, fmt.Sprintf(`
%s
access_log { types = ["start", "end"] }
listener "tcp" {
  address = "127.0.0.1:0"
  %s
  filter_chain "all" {
    route { cluster = "echo" }
  }
}
cluster "echo" { endpoints = [%q] }
`, c.runtime, c.listener, echoBackend(t)))
			first, second := "127.0.0.9", "127.0.0.9"
			if c.reason == "access_denied" {
				first = "127.0.0.8"
			}
			conn, err := visitFrom(p.address("tcp"), first)
			if err != nil || conn == nil {
				t.Fatalf("the first client: %v, %v; want service", conn, err)
			}
			t.Cleanup(func() { conn.Close() })
			if other, err := visitFrom(p.address("tcp"), second); err != nil || other != nil {
				t.Fatalf("the second client: %v, %v; want a reset", other, err)
			}
			rec := p.waitRecord(func(rec event) bool { return within(rec, "termination", "reason") == c.reason })
			expectKeys(t, rec, endedRecord+"error")
			expectFields(t, rec, map[string]string{
				"listener": "tcp", "destination": p.address("tcp"), "flags": c.flag, "termination.side": "gateway",
			})
			if !strings.HasPrefix(text(rec, "source"), second+":") {
				t.Errorf("the source is %q, want %s", text(rec, "source"), second)
			}
			if err := echoed(conn, []byte("still there")); err != nil {
				t.Error(err)
			}
			conn.Close()
			p.waitEnd(conn.LocalAddr())
			starts := 0
			for _, rec := range p.records.all() {
				if text(rec, "type") == "start" {
					starts++
				}
			}
			if starts != 1 {
				t.Errorf("%d start records, want that of the one that was served", starts)
			}
		})
	}
}

// TestMoreConnectionsThanDescriptors: the lower of the two limits holds, and
// the gateway says so.
func TestMoreConnectionsThanDescriptors(t *testing.T) {
	t.Parallel()
	p := loadGateway(t, echoBackend(t), "60s", "runtime {\n workers = 2\n max_connections = 100000\n}", descriptorLimit(200))
	if line := p.waitLog("max_connections"); number(line, "max_connections") != 100000 || number(line, "possible") >= 100 {
		t.Errorf("the service log says %s", asJSON(line))
	}
	cr := gather(t, newVisitor(p, plainKind), 100)
	defer cr.leave(t)
	if len(cr.served) == 0 || cr.ended == 0 {
		t.Errorf("%d were served and %d turned away, want both", len(cr.served), cr.ended)
	}
	p.waitRecord(func(rec event) bool { return within(rec, "termination", "reason") == "descriptor_limit" })
}
