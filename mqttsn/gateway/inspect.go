package gateway

import (
	"context"
	"time"

	"dormouse/mqttsn/session"
)

// This file is what operators ask for.

// A ClientState is what the gateway alone knows of a client. Its zero value
// means that no client of that id is connected here.
type ClientState struct {
	State    session.State
	Wakes    time.Duration // Asleep: from now until the client has said it wakes; negative: it is late
	TopicIDs int           // that it has been given or has asked for
}

// States returns what is known of the clients of those ids, in their order.
// It asks the shards that have them and waits for their answers, which takes a
// Run, or for ctx, whose error it returns. A shard looks at all that it is
// asked for in one go: ask for some hundreds at a time.
func (g *Gateway) States(ctx context.Context, ids []string) ([]ClientState, error) {
	states, asked, answers := g.ask(ids)
	for range asked {
		select {
		case <-answers:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return states, nil
}

// ask leaves the question with each shard concerned: asked is how many. States
// are whole when as many answers have come.
func (g *Gateway) ask(ids []string) (states []ClientState, asked int, answers <-chan struct{}) {
	states = make([]ClientState, len(ids))
	questions := make(map[*shard]map[int]*seat)
	for i, id := range ids {
		t := g.clients.find(id)
		s := t.whose()
		if s == nil {
			continue
		}
		if questions[s] == nil {
			questions[s] = make(map[int]*seat)
		}
		questions[s][i] = t
	}
	done := make(chan struct{}, len(questions))
	for s, seats := range questions {
		s.in.call(func() {
			for i, t := range seats {
				states[i] = s.inspect(t)
			}
			done <- struct{}{}
		})
	}
	return states, len(questions), done
}

// inspect looks at a seat that was s's when s was asked.
func (s *shard) inspect(t *seat) ClientState {
	switch owner := t.whose(); owner {
	case nil:
		return ClientState{}
	case s:
		c := ClientState{State: t.session.State(), TopicIDs: t.session.TopicIDs()}
		if wakes := t.session.Wakes(); wakes != 0 {
			c.Wakes = wakes.Sub(s.now)
		}
		return c
	default: // it moves because its client has woken elsewhere
		return ClientState{State: session.Awake}
	}
}

// whose returns the shard that owns t, or nil if there is no t or no more.
func (t *seat) whose() *shard {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner
}
