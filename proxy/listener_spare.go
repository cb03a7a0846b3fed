package proxy

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/proxy/relay"
)

// A process that has run out of descriptors cannot even accept a connection in
// order to refuse it: its clients would hang. Each acceptor therefore keeps a
// spare one. It gives that up, accepts with it, resets, and so on, and then
// opens it again.
//
// Descriptors are the process's, so another worker may come by the spare before
// it is open again. It has to give it back: while a spare is missing no client
// is accepted and no endpoint connected. Otherwise the acceptor could refuse
// nobody until some connection ends by itself.

// spares counts the acceptors whose spare is missing.
type spares struct{ missing atomic.Int32 }

// wanted tells whether a descriptor that was just got has to be given back.
func (s *spares) wanted() bool { return s.missing.Load() > 0 }

// spareRetry is how long an acceptor without a spare waits before it tries
// again to get one.
const spareRetry = 50 * time.Millisecond

var errNoSpare = errors.New("no descriptors are left: raise the limit (ulimit -n, or LimitNOFILE of the unit)")

// openSpare opens a descriptor that is only there to be given up.
func openSpare() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// shed resets the clients that wait, so that they know at once, and tells
// whether it could.
func (a *acceptor) shed() bool {
	if a.spare < 0 {
		return false
	}
	g := a.w.gateway
	g.spares.missing.Add(1) // before anybody can come by it
	unix.Close(a.spare)
	for range maxAcceptBatch {
		fd, _, errno := a.next()
		if errno != 0 {
			break
		}
		g.shed.Add(1)
		relay.CloseReset(fd)
	}
	a.spare = -1
	return a.regainSpare()
}

// regainSpare opens the spare again and tells whether it could.
func (a *acceptor) regainSpare() bool {
	if a.spare < 0 {
		if a.spare = openSpare(); a.spare < 0 {
			return false
		}
		a.w.gateway.spares.missing.Add(-1)
	}
	return true
}

// closeSpare ends the acceptor's claim to a spare.
func (a *acceptor) closeSpare() {
	if a.spare < 0 {
		a.w.gateway.spares.missing.Add(-1)
		return
	}
	unix.Close(a.spare)
}
