package core

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A world is a broker with a clock of its own.
type world struct {
	*Broker
	t   *testing.T
	now atomic.Int64
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	w := &world{t: t}
	w.now.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	o := DefaultOptions()
	o.Now = func() time.Time { return time.Unix(0, w.now.Load()) }
	for _, f := range change {
		f(&o)
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	w.Broker = New(o)
	return w
}

// waits lets time pass, a tick each second.
func (w *world) waits(d time.Duration) {
	for d > 0 {
		step := min(d, time.Second)
		d -= step
		w.Tick(time.Unix(0, w.now.Add(int64(step))))
	}
}

// A person is a client of a world, and its Sink.
type person struct {
	w       *world
	id      string
	present bool
	err     error
	mails   atomic.Int32
	kicked  atomic.Int32 // KickReason
	*Session
}

func (p *person) Mail()             { p.mails.Add(1) }
func (p *person) Kick(r KickReason) { p.kicked.Store(int32(r)) }
func (p *person) String() string    { return p.id }

// opens attaches a client, which stays for good unless o says otherwise.
func (w *world) opens(id string, o SessionOptions) *person {
	w.t.Helper()
	p := &person{w: w, id: id}
	p.opensAgain(o)
	if p.err != nil {
		w.t.Fatalf("open %s: %v", id, p.err)
	}
	return p
}

func (w *world) comes(id string) *person { return w.opens(id, SessionOptions{Expiry: Forever}) }

func (p *person) opensAgain(o SessionOptions) {
	p.w.Open(Identity{ClientID: p.id, Edge: "test"}, o, p, func(s *Session, present bool, err error) {
		p.Session, p.present, p.err = s, present, err
	})
}

// subscribes takes filters written "filter" or "filter:qos".
func (p *person) subscribes(filters ...string) *person {
	p.w.t.Helper()
	for _, f := range filters {
		sub := Subscription{Filter: f, QoS: 2}
		if name, qos, ok := strings.Cut(f, ":"); ok {
			sub.Filter, sub.QoS = name, QoS(qos[0]-'0')
		}
		if err := p.subscribe1(sub); err != nil {
			p.w.t.Fatalf("%s subscribes to %s: %v", p, f, err)
		}
	}
	return p
}

func (p *person) subscribe1(sub Subscription) (err error) {
	p.Subscribe(sub, func(_ QoS, e error) { err = e })
	return err
}

// says publishes "topic=payload" at qos, retained if the topic begins with "!".
func (p *person) says(qos QoS, what string) error {
	var err error
	p.Publish(message(qos, what), 1, func(e error) { err = e })
	if qos == 2 {
		p.Release(1, func(error) {})
	}
	return err
}

func message(qos QoS, what string) Message {
	topic, payload, _ := strings.Cut(what, "=")
	topic, retain := strings.CutPrefix(topic, "!")
	return Message{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain}
}

// show writes a delivery as "topic=payload", with the QoS above 0, "!" if
// retained, "again" and "rel".
func show(d Delivery) string {
	var b strings.Builder
	if d.Message != nil {
		if d.Retain {
			b.WriteString("!")
		}
		fmt.Fprintf(&b, "%s=%s", d.Topic, d.Payload)
	}
	if d.QoS > 0 {
		fmt.Fprintf(&b, "/%d", d.QoS)
	}
	if d.DUP {
		b.WriteString(" again")
	}
	if d.Released {
		b.WriteString(" rel")
	}
	return b.String()
}

// pulls takes all there is without acknowledging it.
func (p *person) pulls() (got []Delivery) {
	for {
		d, ok := p.Next()
		if !ok {
			return got
		}
		got = append(got, d)
	}
}

// gets takes and acknowledges all there is, and fails unless it is want.
func (p *person) gets(want ...string) {
	p.w.t.Helper()
	var got []string
	for {
		d, ok := p.Next()
		if !ok {
			break
		}
		got = append(got, show(d))
		if d.ID != 0 {
			p.Ack(d.ID)
		}
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		p.w.t.Errorf("%s gets %q, want %q", p, got, want)
	}
}

func (p *person) leaves(how Ending) { p.Detach(how, func(error) {}) }

func TestMessageReachesSubscribers(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("a/b", "x/+:1", "#:0")
	bob := w.comes("bob").subscribes("a/#:1")
	for _, m := range []string{"a/b=1", "x/y=2", "$SYS/x=3", "a=4"} {
		bob.says(2, m)
	}
	ann.gets("a/b=1/2", "x/y=2/1", "a=4")
	bob.gets("a/b=1/1", "a=4/1")
}
