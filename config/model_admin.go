package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"io/fs"

	"sluice/tlsutil"
)

// Admin is where the gateway tells what it does, and is told what to do.
type Admin struct {
	Enabled bool
	Address Address
	// Written is false where there is no admin block: whoever has never heard of
	// the address must not be kept from starting because it is taken. Who has
	// written as much as a token_file means this gateway by it, and would talk to
	// another one there.
	Written       bool
	AddressHidden bool        // it came from env() or file(), and is not to be shown
	Mode          fs.FileMode // of the unix socket
	GID           int         // group of the unix socket; -1: the process's own
	Token         *Token      // nil: there is none
	// Certificates are those of the address; nil: it speaks plain HTTP. One
	// that is not loopback has both a token and certificates.
	Certificates []*tlsutil.Certificate
}

// Metrics is a second address, with nothing but readiness and metrics on it.
type Metrics struct {
	Address       *Address // nil: there is none
	AddressHidden bool     // it came from env() or file(), and is not to be shown
}

// Token is what the admin token is compared with: its digest, so that the token
// is in no dump of the memory.
type Token [sha256.Size]byte

func newToken(text string) *Token {
	t := Token(sha256.Sum256([]byte(text)))
	return &t
}

// Matches compares in a time that does not depend on the token. It may be
// called by any goroutine; a nil token matches nothing.
func (t *Token) Matches(text string) bool {
	if t == nil {
		return false
	}
	sum := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(t[:], sum[:]) == 1
}

// String keeps the digest out of logs, too.
func (t *Token) String() string { return "(a token)" }

// IsLoopback reports whether nothing but this machine can reach the address.
func (a Address) IsLoopback() bool {
	return a.Network == Unix || a.AddrPort.Addr().IsLoopback()
}

// File is one file of a configuration, as it was when it was read.
type File struct {
	Name string // as the user named it
	Text []byte // not to be changed
}

// Files gives the files that the configuration was read from, in the order in
// which they were read. What env() and file() gave, and the values of variables
// from the command line, the environment and files of variables, are not in them.
// Whatever stands in a file literally is.
func (c *Config) Files() []File { return c.files }

// texts gives the files that were read.
func (l *loader) texts() []File {
	files := make([]File, len(l.sources))
	for i, src := range l.sources {
		files[i] = File{Name: src.name, Text: src.text}
	}
	return files
}
