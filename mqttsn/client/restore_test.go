package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// A stayer is a Conn that comes back by itself, to a station.
type stayer struct {
	*Conn
	*testing.T
	u       *udpStation
	changes chan error

	mu   sync.Mutex
	sent map[mqttsn.Type]int
}

func newStayer(t *testing.T, s Session, change func(*Dialer)) *stayer {
	st := &stayer{T: t, u: newUDPStation(t), changes: make(chan error, 100), sent: map[mqttsn.Type]int{}}
	st.Conn = dial(t, st.u.LocalAddr().String(), func(d *Dialer) {
		d.Config.MaxRetries = 1
		d.Reconnect = &Backoff{First: time.Millisecond, Most: 10 * time.Millisecond, Wait: time.Millisecond}
		d.Changed = func(err error) { st.changes <- err }
		d.Trace = func(sent bool, b []byte) {
			if p, err := mqttsn.Decode(mqttsn.V12, b); err == nil && sent {
				st.mu.Lock()
				defer st.mu.Unlock()
				st.sent[p.Type()]++
			}
		}
		if change != nil {
			change(d)
		}
	})
	if err := st.Connect(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return st
}

func (st *stayer) forgotten() { st.u.do(func() { st.u.s.say(&mqttsn.Disconnect{}) }) }

func (st *stayer) told(want ...error) {
	st.Helper()
	for _, w := range want {
		if got := <-st.changes; !errors.Is(got, w) || w == nil && got != nil {
			st.Errorf("told %v, want %v", got, w)
		}
	}
}

func (st *stayer) sends(p mqttsn.Type, want int) {
	st.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	if got := st.sent[p]; got != want {
		st.Errorf("%v was sent %d times, want %d", p, got, want)
	}
}

// TestReconnect: what a clean session had is there again, and requests wait.
func TestReconnect(t *testing.T) {
	st := newStayer(t, Session{ClientID: "dev", CleanSession: true, Will: &Will{Topic: "w"}}, nil)
	for _, topic := range []string{"a", "b", "a"} {
		if _, err := st.Subscribe(t.Context(), Name(topic), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(st.UpdateWill(t.Context(), Will{Topic: "last"}), st.Unsubscribe(t.Context(), Name("b"))); err != nil {
		t.Fatal(err)
	}
	st.u.do(func() { st.u.s.will = "" })
	for range 3 {
		st.forgotten()
		st.told(ErrDisconnected)
		if err := st.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
			t.Error(err)
		}
		st.told(nil)
	}
	st.u.posts("a", "1", 1)
	st.wants(t, "a=1")
	st.sends(mqttsn.TypeConnect, 1+3)
	st.sends(mqttsn.TypeSubscribe, 3+3)
	st.u.do(func() {
		if st.u.s.will != "last" {
			t.Errorf("the will is %q", st.u.s.will)
		}
	})
}

// TestReconnectKept: a session that was kept has its subscriptions still.
func TestReconnectKept(t *testing.T) {
	st := newStayer(t, Session{ClientID: "dev"}, nil)
	if _, err := st.Subscribe(t.Context(), Name("a"), 1); err != nil {
		t.Fatal(err)
	}
	st.forgotten()
	st.told(ErrDisconnected, nil)
	st.u.posts("a", "1", 1)
	st.wants(t, "a=1")
	st.sends(mqttsn.TypeSubscribe, 1)
}

// TestReconnectWhenHeard: the gateway is silent for a while, and congested
// when it is back. What was under way fails, what comes after it waits.
func TestReconnectWhenHeard(t *testing.T) {
	st := newStayer(t, Session{ClientID: "dev"}, func(d *Dialer) { d.Config.Wait = 0 })
	st.u.do(func() { st.u.deaf, st.u.s.busy = 5, 3 }) // two PUBLISH, three CONNECT
	if err := st.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want %v", err, ErrNoAnswer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.Publish(ctx, Message{Topic: Predefined(7), QoS: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if err := st.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
		t.Error(err)
	}
	st.told(ErrNoAnswer, nil)
}

// TestSubscriptionIsLost where it is refused: the rest comes back all the same.
func TestSubscriptionIsLost(t *testing.T) {
	st := newStayer(t, Session{ClientID: "dev", CleanSession: true}, nil)
	for _, topic := range []string{"forbidden", "a"} {
		if _, err := st.Subscribe(t.Context(), Name(topic), 1); err != nil {
			t.Fatal(err)
		}
	}
	st.u.do(func() { st.u.s.forbidden = "forbidden" })
	st.forgotten()
	refused := &RefusedError{}
	st.told(ErrDisconnected)
	if err := <-st.changes; !errors.As(err, &refused) {
		t.Errorf("told %v", err)
	}
	st.told(nil)
	st.u.posts("a", "1", 1)
	st.wants(t, "a=1")
	st.forgotten()
	st.told(ErrDisconnected, nil)
	st.sends(mqttsn.TypeSubscribe, 2+2+1)
}

func anHour(d *Dialer) {
	d.Reconnect = &Backoff{First: time.Hour, Most: time.Hour, Wait: time.Hour}
}

// TestGivenUp: Disconnect and Close end a restoration, and tell who waits.
func TestGivenUp(t *testing.T) {
	for name, leave := range map[string]func(*stayer) error{
		"Disconnect": func(st *stayer) error { return st.Disconnect(st.Context()) },
		"Close":      func(st *stayer) error { return st.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			st := newStayer(t, Session{ClientID: "dev"}, anHour)
			received, published := make(chan error), make(chan error)
			go func() {
				_, err := st.Receive(context.Background())
				received <- err
			}()
			st.forgotten()
			st.told(ErrDisconnected)
			go func() { published <- st.Publish(context.Background(), Message{Topic: Predefined(7)}) }()
			if err := leave(st); err != nil {
				t.Error(err)
			}
			want, wantToo := ErrDisconnected, ErrState
			if name == "Close" {
				want, wantToo = net.ErrClosed, net.ErrClosed
			}
			if err := <-received; !errors.Is(err, want) {
				t.Errorf("Receive returns %v, want %v", err, want)
			}
			if err := <-published; !errors.Is(err, wantToo) {
				t.Errorf("Publish returns %v, want %v", err, wantToo)
			}
			if name == "Disconnect" {
				if err := st.Connect(t.Context(), Session{ClientID: "dev"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestConnectInstead: who does not want to wait connects.
func TestConnectInstead(t *testing.T) {
	st := newStayer(t, Session{ClientID: "dev"}, anHour)
	st.forgotten()
	st.told(ErrDisconnected)
	if err := st.Connect(t.Context(), Session{ClientID: "dev"}); err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
		t.Error(err)
	}
	st.u.posts("a", "1", 1)
	st.wants(t, "a=1")
	st.forgotten()
	st.told(ErrDisconnected)
}
