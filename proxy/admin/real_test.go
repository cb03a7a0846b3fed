package admin

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sluice/config"
	"sluice/proxy"
	"sluice/proxy/status"
)

// TestRealGateway serves a real one: before, while and after it is closed.
func TestRealGateway(t *testing.T) {
	t.Parallel()
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	cfg, diags := config.LoadSource("sluice.hcl", []byte(`
listener "l" {
  address = "127.0.0.1:0"
  filter_chain "c" {
    route { cluster = "k" }
  }
}
cluster "k" { endpoints = ["`+backend.Addr().String()+`"] }
`), config.Options{})
	if cfg == nil {
		t.Fatal(diags.All())
	}
	cfg.AccessLog.Enabled = false
	gateway, err := proxy.New(cfg, proxy.Options{Log: zerolog.Nop(), Version: "v9"})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	s := serve(t, socket(t), func(o *Options) { o.Gateway = gateway })

	client, err := net.Dial("tcp", gateway.Addresses()[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	served, err := backend.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	if _, err := io.WriteString(client, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(served, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}

	var dump status.Dump
	answer := func(path string, into any) string {
		t.Helper()
		response, text := s.ask("GET", path, "")
		if err := json.Unmarshal([]byte(text), into); err != nil || response.StatusCode != 200 {
			t.Fatalf("%s gives %d %s", path, response.StatusCode, text)
		}
		return text
	}
	text := answer("/dump", &dump)
	if strings.Contains(text, ":null") {
		t.Errorf("a list is null:\n%s", text)
	}
	conns := dump.Connections.Connections
	if len(conns) != 1 || conns[0].Source != client.LocalAddr().String() || conns[0].Cluster != "k" || conns[0].EndpointAddress != backend.Addr().String() ||
		dump.Server.Version != "v9" || dump.Server.PID != os.Getpid() || len(dump.Listeners) != 1 || len(dump.Routes) != 1 || len(dump.Clusters) != 1 || len(dump.Endpoints) != 1 {
		t.Errorf("the dump is\n%s", text)
	}
	st := s.watch(t, "?topics=flow,connections&listener=l")
	st.next()

	gateway.Close()
	// Whoever asks now gets an answer all the same.
	s.expect("GET", "/ready", "", 503, `{"error":"the gateway is draining"}`)
	s.expect("POST", "/drain", "", 200, asJSON(result{"draining already"}))
	for _, path := range []string{"/server_info", "/listeners", "/routes", "/clusters", "/endpoints", "/secrets", "/connections", "/dump"} {
		s.expect("GET", path, "", 200, "")
	}
	s.expect("POST", "/connections/1/kill", "", 404, "")
	s.server.Close()
	for {
		if _, _, ok := st.next(); !ok {
			break
		}
	}
}
