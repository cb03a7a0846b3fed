package main

import (
	"context"

	"sluice/proxy/handoff"
)

// inherit takes what the process before this one, or a service manager, has
// opened for it.
func (st *start) inherit() (err error) {
	st.generation = 1
	if st.predecessor, err = handoff.Inherit(); err != nil {
		return err
	}
	if st.predecessor != nil {
		st.generation, st.given = st.predecessor.Generation, st.predecessor.Sockets
		return nil
	}
	activated, err := handoff.Activated()
	st.given = handoff.NewSockets(nil, activated)
	return err
}

// readyToTakeOver is what tells the predecessor that all is ready, and waits to
// be let in; nil when there is none.
func (st *start) readyToTakeOver() func() error {
	if st.predecessor == nil {
		return nil
	}
	return func() error { return st.predecessor.Ready(context.Background()) }
}

// discard closes the sockets that nobody has a use for.
func (st *start) discard() {
	dropped, unused := st.given.Discard()
	if st.predecessor != nil {
		st.predecessor.Serving(dropped)
	}
	for _, name := range unused {
		st.log.Warn().Str("socket", name).Msg("a socket of the service manager's is not used: no listener has its address or its name")
	}
}
