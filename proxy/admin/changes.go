package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sluice/proxy"
	"sluice/proxy/status"
)

func (s *site) kill(r *http.Request) (string, error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return "", fail(http.StatusBadRequest, "%q is no ID of a connection: it is a number, which /connections and access records have", r.PathValue("id"))
	}
	ctx, cancel := context.WithTimeout(r.Context(), gatewayPatience)
	defer cancel()
	generation := 0
	if g := r.URL.Query().Get("generation"); g != "" {
		if generation, err = status.ParseGeneration(g); err != nil {
			return "", fail(http.StatusBadRequest, "%v", err)
		}
	}
	if s.isElder(generation) {
		err = s.server.options.Elders.Kill(ctx, generation, id)
	} else {
		err = s.server.gateway.Kill(ctx, id)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("connection %d killed", id), nil
}

// EndpointChange is what is to be different about an endpoint; what is not there
// stays as it is.
type EndpointChange struct {
	State  string `json:"state,omitempty"`  // ready drain maint
	Weight *int   `json:"weight,omitempty"` // from 1; 0: the configured one
}

func (s *site) setEndpoint(r *http.Request) (string, error) {
	var change EndpointChange
	if err := readJSON(r, &change); err != nil {
		return "", err
	}
	cluster, address := r.PathValue("cluster"), r.PathValue("address")
	if err := s.server.gateway.SetEndpoint(cluster, address, proxy.EndpointChange(change)); err != nil {
		return "", err
	}
	var done []string
	if change.State != "" {
		done = append(done, "state "+change.State)
	}
	if change.Weight != nil {
		done = append(done, fmt.Sprintf("weight %d", *change.Weight))
	}
	return fmt.Sprintf("%s of %s: %s", address, cluster, strings.Join(done, ", ")), nil
}

func (s *site) setLogging(r *http.Request) (string, error) {
	level := r.URL.Query().Get("level")
	if level == "" {
		return "", fail(http.StatusBadRequest, "no level is given: write /logging?level=debug, or trace, info, warn or error")
	}
	if err := s.server.options.SetLogLevel(level); err != nil {
		return "", fail(http.StatusBadRequest, "%v", err)
	}
	return "level " + level, nil
}

func (s *site) reload(*http.Request) (string, error) {
	if s.server.options.Reload == nil {
		return "", fail(http.StatusNotImplemented, "this version does not reload: restart it to use a changed configuration")
	}
	done, err := s.server.options.Reload()
	if err != nil {
		return "", fail(http.StatusUnprocessableEntity, "not reloaded: the gateway goes on as it was: %v", err)
	}
	return done, nil
}

// drain is not the second signal that cuts: whoever asks twice, for want of an
// answer, has not asked for that.
func (s *site) drain(*http.Request) (string, error) {
	if s.server.gateway.Server().State == stateDraining {
		return "draining already", nil
	}
	s.server.options.Drain()
	return "draining", nil
}

func (s *site) upgrade(r *http.Request) (string, error) {
	if s.server.options.Upgrade == nil {
		return "", fail(http.StatusNotImplemented, "this gateway cannot be upgraded")
	}
	if err := s.server.options.Upgrade(r.Context()); err != nil {
		return "", fail(http.StatusConflict, "not upgraded, this process goes on as it was: %v", err)
	}
	return "upgraded: the new process serves, and this one drains", nil
}
