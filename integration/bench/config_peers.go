package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// haproxyPipes bounds the pairs of descriptors that splicing may hold: twice
// what any bulk row can use at a time.
const haproxyPipes = 256

// reservedDescriptors are for listeners, epoll instances and the like.
const reservedDescriptors = 300

// haproxyConfig is HAProxy at its best for this work: a listening socket for
// each thread, accepting deferred until the hello is there, splicing through
// pipes of 1 MiB, names looked up in a tree, nothing logged.
func haproxyConfig(s setup) []configFile {
	files := []configFile{{"haproxy.cfg", ""}}
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  nbthread %d\n  maxconn %d\n  maxpipes %d\n  tune.pipesize 1048576\n",
		s.workers, (s.descriptors-2*haproxyPipes-reservedDescriptors-len(s.backends))/2, haproxyPipes)
	if s.mode == terminated {
		b.WriteString("  ssl-default-bind-options ssl-min-ver TLSv1.3\n  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n  ssl-default-bind-curves X25519\n")
	}
	b.WriteString("defaults\n  mode tcp\n  timeout client 1h\n  timeout server 1h\n  timeout connect 5s\n  option splice-auto\n  option tcp-smart-connect\n")
	fmt.Fprintf(&b, "frontend bench\n  bind %s shards by-thread%s\n", s.listen, haproxyBind(s))
	if s.mode == passThrough {
		names := filepath.Join(s.dir, "names.lst")
		files = append(files, configFile{"names.lst", strings.Join(s.names, "\n") + "\n"})
		b.WriteString("  tcp-request inspect-delay 5s\n  tcp-request content accept if { req.ssl_hello_type 1 }\n")
		fmt.Fprintf(&b, "  use_backend endpoints if { req.ssl_sni,lower -m str -f %s }\n", names)
	} else {
		b.WriteString("  default_backend endpoints\n")
	}
	b.WriteString("backend endpoints\n  balance leastconn\n")
	for i, address := range s.backends {
		fmt.Fprintf(&b, "  server s%d %s\n", i, address)
	}
	files[0].text = b.String()
	return files
}

func haproxyBind(s setup) string {
	switch s.mode {
	case passThrough:
		return " defer-accept"
	case terminated:
		return " defer-accept ssl crt " + s.cert.bothFile
	}
	return "" // a server behind plain TCP may speak first
}

// nginxConfig is nginx at its best for this work: a listening socket for each
// worker, buffers of 256 KiB where bulk moves and the default where memory
// counts, nothing logged. Its stream module cannot defer accepting.
func nginxConfig(s setup, module string, halfClose bool) []configFile {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off;\nuser root;\nworker_processes %d;\nworker_rlimit_nofile %d;\n", s.workers, s.descriptors)
	fmt.Fprintf(&b, "pid %s;\nerror_log stderr crit;\n", filepath.Join(s.dir, "nginx.pid"))
	if module != "" {
		fmt.Fprintf(&b, "load_module %s;\n", module)
	}
	fmt.Fprintf(&b, "events { worker_connections %d; multi_accept on; }\nstream {\n  access_log off;\n", s.descriptors)
	pass := "endpoints"
	if s.mode == passThrough {
		pass = "$chosen"
		fmt.Fprintf(&b, "  map_hash_bucket_size 256;\n  map_hash_max_size %d;\n  map $ssl_preread_server_name $chosen {\n", max(2048, 2*len(s.names)))
		for _, name := range s.names {
			fmt.Fprintf(&b, "    %s endpoints;\n", name)
		}
		b.WriteString("  }\n")
	}
	fmt.Fprintf(&b, "  upstream endpoints {\n    zone endpoints %dk;\n    least_conn;\n", 256+2*len(s.backends))
	for _, address := range s.backends {
		fmt.Fprintf(&b, "    server %s;\n", address)
	}
	b.WriteString("  }\n  server {\n")
	ssl := ""
	if s.mode == terminated {
		ssl = " ssl"
	}
	fmt.Fprintf(&b, "    listen %s%s reuseport backlog=4096;\n    tcp_nodelay on;\n    proxy_timeout 1h;\n", s.listen, ssl)
	if s.bulk {
		b.WriteString("    proxy_buffer_size 256k;\n")
	}
	if halfClose {
		b.WriteString("    proxy_half_close on;\n")
	}
	switch s.mode {
	case passThrough:
		b.WriteString("    ssl_preread on;\n")
	case terminated:
		fmt.Fprintf(&b, "    ssl_certificate %s;\n    ssl_certificate_key %s;\n", s.cert.certFile, s.cert.keyFile)
		b.WriteString("    ssl_protocols TLSv1.3;\n    ssl_ecdh_curve X25519;\n    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;\n    ssl_conf_command NumTickets 1;\n    ssl_session_tickets on;\n")
	}
	fmt.Fprintf(&b, "    proxy_pass %s;\n  }\n}\n", pass)
	return []configFile{{"nginx.conf", b.String()}}
}

// copyProxyConfig configures the baseline.
func copyProxyConfig(s setup) []configFile {
	c := copyConfig{Listen: s.listen, Backends: s.backends}
	switch s.mode {
	case passThrough:
		c.Names = s.names
	case terminated:
		c.CertificateFile, c.KeyFile = s.cert.certFile, s.cert.keyFile
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return []configFile{{"copyproxy.json", string(text) + "\n"}}
}
