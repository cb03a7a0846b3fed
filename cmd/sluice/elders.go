package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sluice/proxy"
	"sluice/proxy/handoff"
	"sluice/proxy/status"
)

// After an upgrade the new process answers for those before it, too, until these
// have drained: it asks them, each over the pair of sockets that is left of its
// upgrade.

// The questions that a process which drains answers.
const (
	questionStatus      = "status"      // with a status.Generation
	questionReopen      = "reopen_logs" // with true, once it has begun to
	questionConnections = "connections" // a status.ConnectionFilter, with a status.Connections
	questionKill        = "kill"        // a killOrder, with whether there was such a connection
)

// killOrder says which connection of which process is to be ended.
type killOrder struct {
	Generation int    `json:"generation"`
	ID         uint64 `json:"id"`
}

// answer answers a successor's questions while this process drains. What is for
// another generation is answered with null.
func (u *upgrader) answer(q handoff.Question) ([]byte, error) {
	ctx := context.Background()
	switch q.Name {
	case questionStatus:
		return json.Marshal(status.Generation{
			Generation: u.generation, PID: u.pid, Version: readBuild().Version, Connections: u.gateway.Stats().Active,
		})
	case questionReopen:
		u.gateway.ReopenLogs()
		return json.Marshal(true)
	case questionConnections:
		var f status.ConnectionFilter
		if err := json.Unmarshal(q.Arguments, &f); err != nil || f.Generation != u.generation {
			return []byte("null"), err
		}
		page, err := u.gateway.Connections(ctx, f)
		if err != nil {
			return nil, err
		}
		return json.Marshal(page)
	case questionKill:
		var k killOrder
		if err := json.Unmarshal(q.Arguments, &k); err != nil || k.Generation != u.generation {
			return []byte("null"), err
		}
		err := u.gateway.Kill(ctx, k.ID)
		if errors.Is(err, proxy.ErrNoConnection) {
			return json.Marshal(false)
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(true)
	}
	return nil, fmt.Errorf("this version does not know the question %q", q.Name)
}

// Generations asks the processes that still drain how they are doing, the oldest
// first. Those that have ended are left out, and so is one that does not answer,
// with a line in the log.
func (u *upgrader) Generations(ctx context.Context) []status.Generation {
	var list []status.Generation
	for _, r := range u.elders.Ask(ctx, handoff.Question{Name: questionStatus}) {
		var g status.Generation
		err := r.Err
		if err == nil {
			err = json.Unmarshal(r.Answer, &g)
		}
		if err != nil {
			u.log.Warn().Err(err).Int("pid", r.PID).Msg("a process that drains does not say how it is doing")
			continue
		}
		list = append(list, g)
	}
	return list
}

// Connections asks the generation of the filter for its connections.
func (u *upgrader) Connections(ctx context.Context, f status.ConnectionFilter) (page status.Connections, err error) {
	err = u.askOne(ctx, f.Generation, questionConnections, f, &page)
	return page, err
}

// Kill ends a connection of an older process.
func (u *upgrader) Kill(ctx context.Context, generation int, id uint64) error {
	found := false
	err := u.askOne(ctx, generation, questionKill, killOrder{generation, id}, &found)
	if err == nil && !found {
		err = fmt.Errorf("%w %d in generation %d", proxy.ErrNoConnection, id, generation)
	}
	return err
}

// askOne asks one generation. All get the question, and only that one has
// something to say.
func (u *upgrader) askOne(ctx context.Context, generation int, name string, arguments, answer any) error {
	text, err := json.Marshal(arguments)
	if err != nil {
		return err
	}
	replies := u.elders.Ask(ctx, handoff.Question{Name: name, Arguments: text})
	i := slices.IndexFunc(replies, func(r handoff.Reply) bool { return r.Generation == generation })
	switch {
	case i < 0:
		return fmt.Errorf("%w of generation %d: no such process drains", proxy.ErrNoConnection, generation)
	case replies[i].Err != nil:
		return replies[i].Err
	}
	return json.Unmarshal(replies[i].Answer, answer)
}
