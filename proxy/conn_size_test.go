package proxy

import (
	"testing"
	"unsafe"
)

// TestConnectionFitsItsSizeClass guards what an idle connection costs: its
// conn, and nothing else of its own where its names are shared. 384 bytes are a
// size class of the Go runtime; a field more makes it the next, of 416.
func TestConnectionFitsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 384 {
		t.Errorf("a connection has %d bytes", size)
	}
}
