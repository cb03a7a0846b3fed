package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// setup is what a peer is to be configured for; the same for all of a row.
type setup struct {
	mode        mode
	bulk        bool // larger buffers pay
	listen      string
	admin       string // where the gateway is asked; "": nowhere
	backends    []string
	names       []string // server names that are let through
	workers     int
	descriptors int    // limit of a process
	dir         string // of the peer's files
	cert        *certificate
}

// configFile is one file of a peer's configuration.
type configFile struct {
	name, text string
}

// features are what costs something and is not always wanted.
type features struct {
	record    bool
	perSource bool // limits that no client reaches
	asked     question
}

// sluiceConfig writes the gateway's configuration. It has noAdmin for one that is
// not asked anything.
func sluiceConfig(s setup, with features, noAdmin string) []configFile {
	var b strings.Builder
	admin := noAdmin
	if with.asked != nothing {
		admin = fmt.Sprintf("admin { address = %q }\n", s.admin)
	}
	fmt.Fprintf(&b, "runtime { workers = %d }\n%slog { level = \"warn\" }\n", s.workers, admin)
	if with.record {
		fmt.Fprintf(&b, "access_log { path = %q }\n", filepath.Join(s.dir, "records.json"))
	} else {
		b.WriteString("access_log { enabled = false }\n")
	}
	fmt.Fprintf(&b, "\nlistener \"bench\" {\n  address = %q\n", s.listen)
	if with.perSource {
		b.WriteString("  per_source {\n    max_connections = 100000\n    rate            = 1000000\n    burst           = 1000000\n  }\n")
	}
	b.WriteString("\n  filter_chain \"bench\" {\n")
	switch s.mode {
	case passThrough:
		fmt.Fprintf(&b, "    match { server_names = [%s] }\n", quoted(s.names, ", "))
	case terminated:
		fmt.Fprintf(&b, "    tls {\n      certificate {\n        cert_file = %q\n        key_file  = %q\n      }\n", s.cert.certFile, s.cert.keyFile)
		b.WriteString("      min_version  = \"1.3\"\n      ecdh_curves  = [\"X25519\"]\n    }\n")
	}
	b.WriteString("    route { cluster = \"bench\" }\n  }\n}\n\n")
	fmt.Fprintf(&b, "cluster \"bench\" {\n  lb_policy = \"least_connections\"\n  endpoints = [%s]\n}\n", quoted(s.backends, ", "))
	return []configFile{{"sluice.hcl", b.String()}}
}

func quoted(list []string, separator string) string {
	q := make([]string, len(list))
	for i, s := range list {
		q[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(q, separator)
}
