package proxy

import (
	"os"
	"runtime"
	"time"

	"sluice/proxy/status"
)

// The files named view tell what runs, in the shapes of package status. Any
// goroutine may call what is exported there; the workers are not disturbed.

// State is where a gateway is in its life. Clients should be sent to one that is
// running, and to no other.
type State uint32

// The states. [New] returns a gateway that is running.
const (
	Starting State = iota
	Running
	Draining // it accepts nothing more, or soon will not; also while it closes, and afterwards
)

// String gives the word of the admin API.
func (s State) String() string { return [...]string{"starting", "running", "draining"}[s] }

// State tells where the gateway is in its life.
func (g *Gateway) State() State { return State(g.state.Load()) }

// Server tells what the process is, and which configuration it runs.
func (g *Gateway) Server() status.Server {
	runtimeSpec, splice := g.snapshot.Load().config.Runtime, "off"
	if runtimeSpec.Splice {
		splice = "auto"
	}
	return status.Server{
		Version:        g.version,
		Go:             runtime.Version(),
		PID:            os.Getpid(),
		State:          g.State().String(),
		Started:        g.started.UTC(),
		Uptime:         inMilliseconds(time.Since(g.started)),
		Generation:     g.generation,
		Workers:        len(g.workers),
		Splice:         splice,
		Connections:    int(g.active.Active()),
		MaxConnections: g.most.Load().connections,
		Configuration:  *g.configuration.Load(),
	}
}

// reloaded takes note of a configuration that took effect.
func (g *Gateway) reloaded() {
	c := *g.configuration.Load()
	c.Loaded, c.LastReload = time.Now().UTC(), "ok"
	c.Reloads++
	g.configuration.Store(&c)
}

// NotReloaded takes note of a configuration that could not be read or applied,
// for who asks ([Gateway.Server]).
func (g *Gateway) NotReloaded(err error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	c := *g.configuration.Load()
	c.LastReload = err.Error()
	g.configuration.Store(&c)
}
