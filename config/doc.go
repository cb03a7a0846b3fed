// Package config reads the gateway's configuration: HCL files in, a checked
// model out, or every mistake in them at once.
//
// A gateway is described by listeners, the filter chains in them and the
// clusters these lead to:
//
//	listener "https" {
//	  address = ":443"
//
//	  filter_chain "app" {
//	    match { server_names = ["app.example.com"] }
//	    route { cluster = "app" }
//	  }
//	}
//
//	cluster "app" {
//	  endpoints = ["10.0.0.11:8443", "10.0.0.12:8443"]
//	}
//
// [Load] takes a file or a directory and gives a [Config] that can be used as
// it stands: names are normalised, prefixes are masked, certificates are read
// and matched with their keys, every cluster that a route names exists, and
// for every connection there is exactly one most specific chain. Whatever
// would make that untrue is an error, because a gateway that starts with half
// of what was meant is harder to notice than one that does not start.
//
// # Phases
//
// Loading runs through phases, and no phase stops at its first error:
//
//	files      find and parse them                              files.go, nesting.go, plainlist_*.go
//	names      unknown blocks, attributes, variables            schema.go, check_names.go, check_variables.go
//	values     variables, then locals, in the order they need   variables.go, locals.go
//	decode     one file per block, with dynamic blocks expanded decode_*.go, block.go, list.go
//	checks     what concerns several blocks                     check_*.go
//
// A value that could not be had is unknown from then on. Nothing is said
// about an unknown value again, so one mistake gives one diagnostic, and
// checks that would need the value are left out.
//
// # Diagnostics
//
// [Diagnostics] holds errors and warnings with file, line, column and the
// source line, sorted as they stand in the files. User mistakes are always
// diagnostics; a panic that starts with "BUG: " is a mistake of this package.
// Values that came from env() or file() are never repeated in a diagnostic
// (secrets.go).
//
// # Limits
//
// The package opens no sockets and never looks up names: an endpoint is an
// IP address or a unix socket. It does not watch files; whoever wants a new
// configuration calls Load again, [Sources] tells whether that would read
// something else, and [MaterialFiles] reads a certificate again by itself.
//
// A list of 100,000 names is no matter: it takes less than 64 MB, with the
// garbage, because long lists of plain strings are kept from the parser of
// HCL, which would take 200 MB (plainlist_cut.go says how and why nothing
// can be lost). That holds for lists wherever an attribute's value has them, in
// dynamic blocks, objects, parentheses and calls too; concat() of such lists
// takes 100 MB, since they are then in memory twice. With a template, an escape
// or a character beyond ASCII in one element, a list is parsed as HCL does it,
// at that price. split("\n", <<EOT ...) of a heredoc costs as much, for HCL makes
// a token of each line; a file of names, split("\n", file("names.txt")), is cheap.
//
// A file has at most 64 MiB, and nothing is nested more than 1,000 deep
// (nesting.go says why).
package config
