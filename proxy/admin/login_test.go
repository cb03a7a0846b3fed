package admin

import (
	"testing"
	"time"
)

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	var s sessions
	now := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	id := s.begin(now)
	if !s.lasts(id, now) || !s.lasts(id, now.Add(sessionTime-1)) || s.lasts(id, now.Add(sessionTime)) {
		t.Error("a session does not end after its time")
	}
	if s.lasts("", now) || s.lasts("x", now) {
		t.Error("a session lasts that has not begun")
	}
	for i := range maxSessions {
		s.begin(now.Add(time.Duration(i+1) * time.Second))
	}
	if s.lasts(id, now) {
		t.Error("the oldest session did not make room")
	}
	if len(s.end) != maxSessions {
		t.Errorf("there are %d sessions", len(s.end))
	}
	if s.begin(now.Add(2 * sessionTime)); len(s.end) != 1 {
		t.Errorf("%d sessions are left when all but one have ended", len(s.end))
	}
}
