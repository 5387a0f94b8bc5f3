package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A gateway drives one Client by hand and keeps score. Its time moves only
// when told, and whatever passes goes through the codec.
type gateway struct {
	t   *testing.T
	c   *Client
	now clock.Time
	out Actions
}

var testConfig = Config{RetryInterval: 10 * time.Second, MaxRetries: 2, MaxTopics: 4}

func newGateway(t *testing.T) *gateway {
	return &gateway{t: t, c: New(mqttsn.V12, &testConfig), now: clock.Time(time.Hour)}
}

// connected returns a gateway whose client is Active.
func connected(t *testing.T) *gateway {
	g := newGateway(t)
	g.connects(Session{ClientID: "dev", KeepAlive: time.Minute, CleanSession: true}).gets("CONNECT", Connecting)
	return g.sends(&mqttsn.Connack{}).gets("done connect", Active)
}

func (g *gateway) does(what func(now clock.Time, out *Actions) error) *gateway {
	g.t.Helper()
	g.out.Reset()
	if err := what(g.now, &g.out); err != nil {
		g.t.Fatal(err)
	}
	return g
}

func (g *gateway) connects(s Session) *gateway {
	g.t.Helper()
	return g.does(func(now clock.Time, out *Actions) error { return g.c.Connect(now, s, out) })
}

func (g *gateway) publishes(m Message) *gateway {
	g.t.Helper()
	return g.does(func(now clock.Time, out *Actions) error { return g.c.Publish(now, &m, out) })
}

func (g *gateway) subscribes(t mqttsn.Topic, q mqttsn.QoS) *gateway {
	g.t.Helper()
	return g.does(func(now clock.Time, out *Actions) error { return g.c.Subscribe(now, t, q, out) })
}

func (g *gateway) updatesWill(w Will) *gateway {
	g.t.Helper()
	return g.does(func(now clock.Time, out *Actions) error { return g.c.UpdateWill(now, &w, out) })
}

func (g *gateway) sleeps(d time.Duration) *gateway {
	g.t.Helper()
	return g.does(func(now clock.Time, out *Actions) error { return g.c.Sleep(now, d, out) })
}

func (g *gateway) wakes() *gateway       { g.t.Helper(); return g.does(g.c.Wake) }
func (g *gateway) disconnects() *gateway { g.t.Helper(); return g.does(g.c.Disconnect) }

// refuses checks that a request cannot be made.
func (g *gateway) refuses(want error, what func(now clock.Time, out *Actions) error) *gateway {
	g.t.Helper()
	g.out.Reset()
	if err := what(g.now, &g.out); err != want {
		g.t.Errorf("got %v, want %v", err, want)
	}
	return g
}

// sends hands packets from the gateway to the client.
func (g *gateway) sends(packets ...mqttsn.Packet) *gateway {
	g.t.Helper()
	g.out.Reset()
	for _, p := range packets {
		g.c.Handle(g.now, overTheWire(g.t, p), &g.out)
	}
	return g
}

// waits moves time to the client's deadline, which must be d away.
func (g *gateway) waits(d time.Duration) *gateway {
	g.t.Helper()
	at := g.c.Deadline()
	if got := at.Sub(g.now); at == 0 || got != d {
		g.t.Fatalf("deadline in %v, want %v", got, d)
	}
	g.now = at
	g.out.Reset()
	g.c.Tick(g.now, &g.out)
	return g
}

// gets checks everything that the client wants done: packets by their names
// (or their whole text, where want has a colon), then messages, the outcome,
// the end; and its state after.
func (g *gateway) gets(want string, state State) *gateway {
	g.t.Helper()
	var got []string
	for b := range g.out.Datagrams {
		p, err := mqttsn.Decode(mqttsn.V12, b)
		if err != nil {
			g.t.Fatalf("the client sent %x: %v", b, err)
		}
		s := p.Type().String()
		if strings.Contains(want, ":") {
			s = fmt.Sprint(p)
		}
		got = append(got, s)
	}
	for _, m := range g.out.Messages {
		got = append(got, fmt.Sprintf("message %s=%s", text(m.Topic), m.Payload))
	}
	if e := g.out.Ended; e.Err != nil {
		got = append(got, fmt.Sprintf("failed %v (%v)", e.Request, e.Err))
	} else if e.Request != 0 {
		got = append(got, fmt.Sprintf("done %v", e.Request))
	}
	if g.out.Gone != nil {
		got = append(got, fmt.Sprintf("gone (%v)", g.out.Gone))
	}
	if s := strings.Join(got, ", "); s != want || g.c.State() != state {
		g.t.Errorf("got [%s] %v\nwant [%s] %v", s, g.c.State(), want, state)
	}
	return g
}

// rests checks that no timer runs.
func (g *gateway) rests() *gateway {
	g.t.Helper()
	if at := g.c.Deadline(); at != 0 {
		g.t.Errorf("a timer runs, %v ahead", at.Sub(g.now))
	}
	return g
}

func text(t mqttsn.Topic) string {
	if name, ok := NameOf(t); ok {
		return name
	}
	return fmt.Sprintf("#%d", t.ID)
}

func overTheWire(t testing.TB, p mqttsn.Packet) mqttsn.Packet {
	t.Helper()
	b, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		t.Fatal(err)
	}
	p2, err := mqttsn.Decode(mqttsn.V12, slices.Clip(b))
	if err != nil {
		t.Fatal(err)
	}
	return p2
}
