package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport/memnet"
)

// states asks for clients as an operator does, and steps the shards.
func (w *world) states(ids ...string) []ClientState {
	w.t.Helper()
	states, asked, answers := w.g.ask(ids)
	w.settle()
	if len(answers) != asked {
		w.t.Fatalf("of %d shards %d have answered", asked, len(answers))
	}
	return states
}

// TestStates: an operator sees who is awake, who sleeps until when, and who is
// not there.
func TestStates(t *testing.T) {
	w := newWorld(t, nil)
	active := w.at("10.0.0.1:1").connects("active", true, time.Minute)
	active.subscribes("a/b", 1)
	active.subscribes("a/c", 1)
	asleep := w.at("10.0.0.2:1").connects("asleep", true, time.Minute).sleeps(time.Hour)
	awake := w.at("10.0.0.3:1").connects("awake", true, time.Minute)
	awake.subscribes("mail", 1)
	awake.sleeps(time.Minute)
	w.app("app").says("mail", "unacknowledged", 1, false)
	w.pass(10 * time.Second)
	awake.pings("awake").gets("PUBLISH")
	w.at("10.0.0.4:1").connects("lost", true, time.Minute)
	w.at("10.0.0.4:1").sends(&mqttsn.Disconnect{})

	want := []ClientState{
		{State: session.Active, TopicIDs: 2},
		{},
		{State: session.Asleep, Wakes: time.Hour - 10*time.Second},
		{State: session.Awake, TopicIDs: 1},
		{},
	}
	if got := w.states("active", "lost", "asleep", "awake", "stranger"); !slices.Equal(got, want) {
		t.Errorf("an operator sees\n%+v, want\n%+v", got, want)
	}
	asleep.gets("")

	w.pass(time.Hour)
	if got := w.states("asleep")[0]; got.State != session.Asleep || got.Wakes != -10*time.Second {
		t.Errorf("ten seconds after it should have woken, an operator sees %+v", got)
	}
}

// TestStatesWhileClientsMove: a client that goes to another shard when its old
// one has been asked is there all the same.
func TestStatesWhileClientsMove(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AddressMigration = Always })
	w.at("10.0.0.1:1").connects("sleeper", true, time.Minute).sleeps(time.Hour)
	moves := 0
	for port := range 20 {
		before := w.g.clients.find("sleeper").whose()
		w.at(fmt.Sprintf("10.0.0.2:%d", 1000+port)).pings("sleeper").gets("PINGRESP")
		seat := w.g.clients.find("sleeper")
		if seat.whose() == before {
			continue
		}
		moves++
		if got := before.inspect(seat); got.State != session.Awake {
			t.Errorf("a shard that it has left says it is %v, want awake", got.State)
		}
		if got := w.states("sleeper")[0]; got.State != session.Asleep {
			t.Errorf("where it has gone it is %v, want asleep", got.State)
		}
	}
	if moves == 0 {
		t.Error("the sleeper has not moved")
	}
}

// TestStatesOfARunningGateway: the shards answer from their own goroutines,
// and an operator does not wait for ever for some that do not run.
func TestStatesOfARunningGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOn(t, memnet.Config{}, nil, nil)
		w.at("10.0.0.1:1").connects("a", true, 0) // for the time in a bubble is far from the world's
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.g.States(ctx, []string{"a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a gateway that does not run answers: %v", err)
		}
		for _, s := range w.g.shards {
			go s.run(t.Context())
		}
		got, err := w.g.States(t.Context(), []string{"b", "a"})
		if err != nil || got[0] != (ClientState{}) || got[1].State != session.Active {
			t.Errorf("a running gateway answers %+v, %v", got, err)
		}
	})
}

// TestKick: an operator's kick is told to a sensor that listens, and not to
// one that sleeps. What it sends next is answered as a stranger's.
func TestKick(t *testing.T) {
	w := newWorld(t, nil)
	active := w.at("10.0.0.1:1").connects("active", true, time.Minute)
	asleep := w.at("10.0.0.2:1").connects("asleep", true, time.Minute).sleeps(time.Hour)
	for _, id := range []string{"active", "asleep"} {
		if !w.core.Kick(id, false) {
			t.Fatalf("there is no %s to kick", id)
		}
	}
	w.settle()
	active.gets("DISCONNECT")
	asleep.gets("")
	asleep.pings("asleep").gets("DISCONNECT")
	if got := w.states("active", "asleep"); got[0] != (ClientState{}) || got[1] != (ClientState{}) {
		t.Errorf("after the kick an operator sees %+v", got)
	}
}
