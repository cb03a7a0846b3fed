package tlsutil

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
)

// LoadTicketKeys reads session ticket keys that several gateways share, one a
// file: 32 random bytes, or the same in 64 hexadecimal digits as `openssl
// rand -hex 32` writes them. Tickets are encrypted with the first key and
// accepted with any, so a new key is first given to every gateway as the last
// one and only then made the first. The keys are secret: with one and a
// recording, sessions of TLS 1.2 can be read. Errors are [*LoadError].
func LoadTicketKeys(files []string) ([][32]byte, error) {
	keys := make([][32]byte, 0, len(files))
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		key, ok := parseTicketKey(data)
		switch {
		case !ok:
			return nil, &LoadError{File: file, Problem: "invalid session ticket key",
				Fix: fmt.Sprintf("the file has %d bytes; a key is 32 random bytes, or 64 hexadecimal digits as from "+
					"openssl rand -hex 32", len(data))}
		case key == [32]byte{}:
			return nil, &LoadError{File: file, Problem: "invalid session ticket key",
				Fix: "it is all zeros, which anybody can guess; write a random one: openssl rand -hex 32"}
		case slices.Contains(keys, key):
			return nil, &LoadError{File: file, Problem: "session ticket key repeated",
				Fix: "an earlier file holds the same key; remove one of the two"}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseTicketKey(data []byte) (key [32]byte, ok bool) {
	if len(data) == len(key) {
		return [32]byte(data), true
	}
	text := bytes.TrimSpace(data)
	if len(text) != hex.EncodedLen(len(key)) {
		return key, false
	}
	_, err := hex.Decode(key[:], text)
	return key, err == nil
}

// boundTicketKeys gives the keys which a chain uses in place of the shared
// ones. They are derived from the shared key and the policy, so a ticket of
// another policy is not understood and its client makes a full handshake.
// Gateways with the same files and the same policy derive the same keys.
func boundTicketKeys(shared [][32]byte, digest []byte) ([][32]byte, error) {
	bound := make([][32]byte, len(shared))
	for i, k := range shared {
		derived, err := hkdf.Key(sha256.New, k[:], nil, "sluice session ticket key 1 "+string(digest), len(k))
		if err != nil {
			return nil, fmt.Errorf("deriving session ticket keys: %w", err)
		}
		bound[i] = [32]byte(derived)
	}
	return bound, nil
}

// policyDigest hashes everything that a ticket vouches for: what was asked of
// the client (p, nil for nothing), and as whom the gateway answered. The
// latter because a resumed handshake shows no certificate: an attacker who
// diverts a client to another chain of the same gateway would otherwise have
// it answer in the first one's name. The names count, not the certificates,
// so that renewing one keeps the tickets. Nor does what revocation lists say,
// which are replaced daily: clientPolicy looks into the lists of the day when a
// connection is resumed.
func policyDigest(certs []*Certificate, p *clientPolicy) []byte {
	h := sha256.New()
	writeSet(h, serverNames(certs))
	if p == nil {
		return h.Sum(nil)
	}
	var allowed []string
	for _, s := range p.allowed {
		allowed = append(allowed, fmt.Sprintf("%d %s", s.typ, s.value))
	}
	writeSet(h, []string{fmt.Sprintf("required %t, revocation %t", p.Required, len(p.CRLs) > 0)})
	writeSet(h, poolSubjects(p.CAs))
	writeSet(h, allowed)
	return h.Sum(nil)
}

// serverNames gives the names in the certificates; one without names stands
// for itself.
func serverNames(certs []*Certificate) []string {
	var names []string
	for _, c := range certs {
		names = append(names, c.names()...)
		for _, ip := range c.Leaf.IPAddresses {
			names = append(names, ip.String())
		}
		if len(c.Leaf.DNSNames)+len(c.Leaf.IPAddresses) == 0 {
			names = append(names, string(c.Leaf.Raw))
		}
	}
	return names
}

// poolSubjects gives the names of the CAs, all that a pool reveals. Two sets
// of CAs with equal names and other keys share tickets therefore, which
// harms nobody: clientPolicy verifies a resumed chain again with the keys.
func poolSubjects(pool *x509.CertPool) []string {
	var names []string
	//lint:ignore SA1019 deprecated because it leaves out the system's CAs, which are never used here
	for _, s := range pool.Subjects() { //nolint:staticcheck // as above
		names = append(names, string(s))
	}
	return names
}

// writeSet hashes a set of strings so that no two sets give the same input.
func writeSet(h hash.Hash, set []string) {
	set = slices.Clone(set)
	slices.Sort(set)
	set = slices.Compact(set)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(set))))
	for _, s := range set {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
}
