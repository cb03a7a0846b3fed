package integration

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// pattern gives n bytes that do not repeat within any window that a buffer
// might swap, and are the same on every run.
func pattern(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// expectSame compares long byte strings and says where they part.
func expectSame(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("got %d bytes, want %d; they differ from byte %d on", len(got), len(want), at)
}
