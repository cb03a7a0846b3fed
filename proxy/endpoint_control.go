package proxy

import (
	"errors"
	"fmt"

	"sluice/proxy/upstream"
)

// Errors of [Gateway.SetEndpoint].
var (
	ErrNoCluster      = errors.New("there is no such cluster")
	ErrNoEndpoint     = errors.New("the cluster has no such endpoint")
	ErrEndpointChange = errors.New("bad change of an endpoint")
)

// EndpointChange is what an operator wants an endpoint to be. It holds until the
// endpoint is changed again, or is not its cluster's any more.
type EndpointChange struct {
	// State is ready, drain (no new connections; checks go on) or maint (the
	// same, without checks); "" leaves it. Connections that there are stay.
	State string
	// Weight, from 1, takes the place of the configured one, and 0 gives that
	// back; nil leaves it.
	Weight *int
}

// SetEndpoint changes the endpoint of a cluster that has the address, spelled as
// [status.Endpoint] does. On an error nothing is changed.
func (g *Gateway) SetEndpoint(cluster, address string, change EndpointChange) error {
	cl := g.snapshot.Load().clusters[cluster]
	if cl == nil {
		return fmt.Errorf("%w: %q", ErrNoCluster, cluster)
	}
	state, err := change.state()
	if err != nil {
		return err
	}
	if w := change.Weight; w != nil && (*w < 0 || *w > upstream.MaxWeight) {
		return fmt.Errorf("%w: weight is %d: write 1 to %d, or 0 for the configured one", ErrEndpointChange, *w, upstream.MaxWeight)
	}
	for e := range cl.Endpoints() {
		if e.Address.String() == address {
			g.changeEndpoint(e, change, state)
			return nil
		}
	}
	return fmt.Errorf("%w: %q of cluster %q", ErrNoEndpoint, address, cluster)
}

func (g *Gateway) changeEndpoint(e *upstream.Endpoint, change EndpointChange, state upstream.State) {
	log := g.log.Info().Str("cluster", e.Cluster().Name).Str("endpoint", e.Name())
	if change.State != "" {
		e.SetState(state)
		log.Str("state", change.State)
	}
	if change.Weight != nil {
		e.SetWeight(*change.Weight)
		log.Int("weight", *change.Weight)
	}
	log.Msg("endpoint changed by an operator")
}

func (c *EndpointChange) state() (upstream.State, error) {
	if c.State == "" {
		if c.Weight == nil {
			return 0, fmt.Errorf("%w: nothing is to change: write a state (ready, drain, maint), a weight, or both", ErrEndpointChange)
		}
		return upstream.Ready, nil
	}
	for s := upstream.Ready; s <= upstream.Maint; s++ {
		if s.String() == c.State {
			return s, nil
		}
	}
	return 0, fmt.Errorf("%w: state is %q: write ready, drain or maint", ErrEndpointChange, c.State)
}
