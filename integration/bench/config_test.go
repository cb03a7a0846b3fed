package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func exampleSetup(m mode) setup {
	return setup{
		mode: m, listen: "127.0.0.1:1234", admin: "127.0.0.1:4321", backends: []string{"127.0.0.1:1", "127.0.0.1:2"},
		names: []string{"a.test", "b.test"}, workers: 3, descriptors: 20_000, dir: "/d",
		cert: &certificate{certFile: "/d/c.pem", keyFile: "/d/c.key", bothFile: "/d/both.pem"},
	}
}

// What each peer must be told for each kind of work, and what it must not.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	const noAdmin = "admin { enabled = false }\n"
	sluice := func(s setup) []configFile { return sluiceConfig(s, features{}, noAdmin) }
	record := func(s setup) []configFile { return sluiceConfig(s, features{record: true}, "") }
	perSource := func(s setup) []configFile { return sluiceConfig(s, features{perSource: true}, "") }
	scraped := func(s setup) []configFile { return sluiceConfig(s, features{asked: scraping}, noAdmin) }
	nginx := func(s setup) []configFile { return nginxConfig(s, "/m.so", false) }
	halfClose := func(s setup) []configFile { return nginxConfig(s, "/m.so", true) }
	for name, c := range map[string]struct {
		configure func(setup) []configFile
		mode      mode
		has       string // words that must be there, one after the other
		hasNot    string // words of which none may be there
	}{
		"sluice, pass through": {sluice, passThrough, `workers = 3|admin|enabled = false|127.0.0.1:1234|server_names = ["a.test", "b.test"]|endpoints = ["127.0.0.1:1", "127.0.0.1:2"]`, "tls {|records.json|per_source"},
		"sluice, plain TCP":    {sluice, plainTCP, "listener|route", "server_names|tls {"},
		"sluice, terminated":   {sluice, terminated, `cert_file = "/d/c.pem"|key_file  = "/d/c.key"|"1.3"|X25519`, "server_names"},
		"sluice with record":   {record, plainTCP, `access_log { path = "/d/records.json" }`, "enabled|admin"},
		"sluice per_source":    {perSource, passThrough, "listener|per_source {|max_connections|rate|filter_chain|server_names", "records.json"},
		"sluice scraped":       {scraped, passThrough, `admin { address = "127.0.0.1:4321" }|listener`, "records.json|enabled = false }\nlog"},

		"haproxy, pass through": {haproxyConfig, passThrough, "nbthread 3|tune.pipesize 1048576|splice-auto|bind 127.0.0.1:1234 shards by-thread defer-accept|req.ssl_sni,lower -m str -f /d/names.lst|leastconn|server s0 127.0.0.1:1\n|server s1 127.0.0.1:2\n", "ssl crt|log "},
		"haproxy, plain TCP":    {haproxyConfig, plainTCP, "default_backend", "defer-accept|ssl"},
		"haproxy, terminated":   {haproxyConfig, terminated, "TLS_AES_128_GCM_SHA256|X25519|defer-accept ssl crt /d/both.pem|default_backend", "inspect-delay"},

		"nginx, pass through": {nginx, passThrough, "worker_processes 3|load_module /m.so|map $ssl_preread_server_name|a.test endpoints;|least_conn|server 127.0.0.1:2;|listen 127.0.0.1:1234 reuseport|ssl_preread on|proxy_pass $chosen", "ssl_certificate|proxy_buffer_size|half_close"},
		"nginx, half close":   {halfClose, passThrough, "proxy_half_close on|proxy_pass", "proxy_buffer_size"},
		"nginx, plain TCP":    {nginx, plainTCP, "proxy_pass endpoints", "ssl|map"},
		"nginx, terminated":   {nginx, terminated, "1234 ssl reuseport|/d/c.pem|TLSv1.3|X25519|TLS_AES_128_GCM_SHA256", "ssl_preread"},
	} {
		var all strings.Builder
		for _, f := range c.configure(exampleSetup(c.mode)) {
			all.WriteString(f.text)
		}
		rest := all.String()
		for word := range strings.SplitSeq(c.has, "|") {
			_, after, ok := strings.Cut(rest, word)
			if !ok {
				t.Errorf("%s: no %q, or not in this place:\n%s", name, word, &all)
				break
			}
			rest = after
		}
		for word := range strings.SplitSeq(c.hasNot, "|") {
			if strings.Contains(all.String(), word) {
				t.Errorf("%s: has %q:\n%s", name, word, &all)
			}
		}
	}
}

func TestBulkHasLargerBuffers(t *testing.T) {
	t.Parallel()
	s := exampleSetup(plainTCP)
	s.bulk = true
	if text := nginxConfig(s, "", false)[0].text; !strings.Contains(text, "proxy_buffer_size 256k") || strings.Contains(text, "load_module") {
		t.Errorf("nginx for bulk, with the stream module built in:\n%s", text)
	}
}

// HAProxy refuses to start when its promises exceed the descriptors.
func TestHAProxyFitsIntoTheDescriptors(t *testing.T) {
	t.Parallel()
	s := exampleSetup(plainTCP)
	text := haproxyConfig(s)[0].text
	want := (s.descriptors - 2*haproxyPipes - reservedDescriptors - len(s.backends)) / 2
	if most := idleConnections[len(idleConnections)-1]; want < most {
		t.Errorf("HAProxy may hold %d connections with %d descriptors: the idle rows need %d", want, s.descriptors, most)
	}
	if !strings.Contains(text, "maxconn ") {
		t.Errorf("no maxconn:\n%s", text)
	}
}

func TestCopyProxyConfigReadsBack(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{passThrough, plainTCP, terminated} {
		var got copyConfig
		if err := json.Unmarshal([]byte(copyProxyConfig(exampleSetup(m))[0].text), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Backends) != 2 || (len(got.Names) > 0) != (m == passThrough) || (got.CertificateFile != "") != (m == terminated) {
			t.Errorf("%s: %+v", m, got)
		}
	}
}

func TestNamesHoldTheBenchedOne(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 1000} {
		seen := make(map[string]bool)
		for _, name := range namesOf(n) {
			seen[name] = true
		}
		if len(seen) != n || !seen[benchedName] {
			t.Errorf("namesOf(%d) has %d different names, %s among them: %t", n, len(seen), benchedName, seen[benchedName])
		}
	}
}
