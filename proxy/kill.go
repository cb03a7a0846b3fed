package proxy

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoConnection is that there is no connection of that ID: it is over, or never
// was.
var ErrNoConnection = errors.New("there is no such connection")

// Kill ends a connection at once, whatever it is doing: both sides are reset, and
// its record has the reason killed. It returns when the connection's worker has
// been told to, with an error that wraps [ErrNoConnection] when it is not there
// any more, or with the context's.
func (g *Gateway) Kill(ctx context.Context, id uint64) error {
	missing := fmt.Errorf("connection %d: %w", id, ErrNoConnection)
	if id == 0 {
		return missing
	}
	// See worker.nextID for who has it.
	w := g.workers[(id-1)%uint64(len(g.workers))]
	found := false
	err := w.goThrough(ctx, func(c *conn) bool {
		if c.record.id != id {
			return true
		}
		found = true
		c.cut()
		return false
	})
	switch {
	case err != nil:
		return err
	case !found:
		return missing
	}
	g.log.Info().Uint64("id", id).Msg("connection killed")
	return nil
}

// cut ends the connection because an operator says so.
func (c *conn) cut() {
	if c.phase != phaseSetup {
		c.finish(Termination{Reason: reasonKilled}) // which resets what is open
		return
	}
	c.extra().killed = true
	c.killed = true
	c.w.Again(&c.Slot)
}

// wasKilled tells whether an operator has ended the connection while it was being
// set up.
func (c *conn) wasKilled() bool { return c.extras != nil && c.extras.killed }
