package proxy

import (
	"encoding/json"
	"testing"
)

// endRecord is what tests read of an end record.
type endRecord struct {
	Listener, Source, Destination, Flags, Error, Type string
	FilterChain                                       string `json:"filter_chain"`
	ID                                                uint64
	Count                                             uint64
	Sources                                           int
	Termination                                       struct{ Reason, Side string }
}

// nextEnd waits for a record.
func (s *recordSink) nextEnd(t *testing.T) (r endRecord) {
	t.Helper()
	line := s.next(t)
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}
