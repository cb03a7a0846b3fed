package handoff

import "testing"

// TestTakeOfNone: who takes a socket may use the first without looking, whatever
// the process before has sent.
func TestTakeOfNone(t *testing.T) {
	s := NewSockets([]Socket{{Name: "none"}}, nil)
	if got, ok := s.Take("none"); ok {
		t.Errorf("a name without a socket gives %+v", got)
	}
}
