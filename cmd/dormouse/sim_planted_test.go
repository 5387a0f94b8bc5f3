package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dormouse/core"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
	"dormouse/sim/drive"
	"dormouse/sim/ledger"
	"dormouse/sim/report"
	"dormouse/sim/scenario"
)

// town is a fleet in which each fault has an occasion: reports and commands at
// QoS 1 and 2, sleepers, wills, and some who fall silent.
const town = `
name: town
groups:
  awake:
    count: 30
    keepalive: 1m
    will: {topic: "will/%%c", payload: lost}
    reports: {every: 20s, jitter: 5s, qos: 1}
    commands: {topic: "c/%%g/%%i", every: 1m, jitter: 20s, qos: 1}
    ills: {stuck: 20%%, stuck_after: 10m}
    radio: {latency: 30ms, loss: %[1]s}
  assured:
    count: 30
    keepalive: 1m
    reports: {every: 20s, jitter: 5s, qos: 2}
    radio: {latency: 30ms, loss: %[1]s}
  asleep:
    count: 30
    keepalive: 1m
    commands: {topic: "c/%%g/%%i", every: 30s, jitter: 10s, qos: 1}
    sleep: {policy: sleep, for: 1m, poll: 30s, jitter: 5s}
    radio: {latency: 30ms, loss: %[1]s}
stages:
  - {name: all, for: 40m}
settle: 15m
thresholds:
  - violations == 0
`

// A planted is a fault that a gateway has, once in a run: it stands between the
// sessions and the broker.
type planted struct {
	session.Broker
	world *world
	turns int // occasions that there were
	done  bool
	known map[string]bool // payloads that were published already

	ask  func(l *plantedLink, r *session.Request)           // nil: Link.Ask
	next func(l *plantedLink) (d session.Delivery, ok bool) // nil: Link.Next
}

type plantedLink struct {
	session.Link
	seat session.Seat
	id   string // of the client
	p    *planted
	held *session.Delivery // taken from the queue, and not handed out
}

// once reports whether this is the occasion: the n-th.
func (p *planted) once(n int) bool {
	p.turns++
	p.done = p.done || p.turns == n
	return p.turns == n
}

// first reports whether r publishes what was not published before.
func (p *planted) first(r *session.Request) bool {
	if r.Kind != session.AskPublish || p.known[string(r.Payload)] {
		return false
	}
	p.known[string(r.Payload)] = true
	return true
}

// publish has the broker publish something more.
func (p *planted) publish(topic string, payload []byte) {
	m := core.Message{Topic: topic, Payload: bytes.Clone(payload), QoS: 1}
	p.world.broker.Publish(core.Identity{ClientID: "nobody"}, m, func(error) {})
}

func (p *planted) Open(c session.Client, r *session.Request, seat session.Seat) session.Link {
	return &plantedLink{Link: p.Broker.Open(c, r, seat), seat: seat, id: c.ID, p: p}
}

func (l *plantedLink) Ask(r *session.Request) {
	if l.p.ask == nil {
		l.Link.Ask(r)
		return
	}
	l.p.ask(l, r)
}

func (l *plantedLink) Next() (session.Delivery, bool) {
	if l.p.next == nil {
		return l.Link.Next()
	}
	return l.p.next(l)
}

// Coming denies what is held back.
func (l *plantedLink) Coming() bool { return l.held == nil && l.Link.Coming() }

// plantable are faults, and how they show.
var plantable = []struct {
	name  string
	plant func(p *planted)
	rules []ledger.Rule
	may   int // of three runs on the bad radio, how many may not find it
}{
	{"none", func(*planted) {}, nil, 0},
	{"a report is acknowledged and lost", func(p *planted) {
		p.ask = func(l *plantedLink, r *session.Request) {
			if p.first(r) && r.QoS == 1 && p.once(1200) {
				l.seat.Answer(session.Answer{Kind: r.Kind, Tag: r.Tag})
				return
			}
			l.Link.Ask(r)
		}
	}, []ledger.Rule{ledger.LostReport}, 0},
	{"a report at QoS 2 is published twice", func(p *planted) {
		p.ask = func(l *plantedLink, r *session.Request) {
			if p.first(r) && r.QoS == 2 && p.once(1200) {
				p.publish(r.Topic, r.Payload)
			}
			l.Link.Ask(r)
		}
	}, []ledger.Rule{ledger.DoubledReport}, 0},
	{"a report is published on another device's topic", func(p *planted) {
		last := ""
		p.ask = func(l *plantedLink, r *session.Request) {
			if p.first(r) && r.QoS == 1 {
				if topic := r.Topic; topic != last {
					if p.once(900) {
						r.Topic = last
					}
					last = topic
				}
			}
			l.Link.Ask(r)
		}
	}, []ledger.Rule{ledger.MisfiledReport}, 0},
	{"a command is taken for delivered", func(p *planted) {
		p.next = func(l *plantedLink) (session.Delivery, bool) {
			d, ok := l.Link.Next()
			if ok && p.once(900) {
				l.Link.Ask(&session.Request{Kind: session.AskAck, ID: d.ID})
				return l.Link.Next()
			}
			return d, ok
		}
	}, []ledger.Rule{ledger.EarlyPingresp, ledger.LostCommand}, 0},
	{"a device gets another's command", func(p *planted) {
		var last []byte
		p.next = func(l *plantedLink) (session.Delivery, bool) {
			d, ok := l.Link.Next()
			if own := d.Payload; ok && !bytes.Equal(own, last) {
				if p.once(900) {
					d.Payload = last
				}
				last = own
			}
			return d, ok
		}
	}, []ledger.Rule{ledger.StrayCommand, ledger.EarlyPingresp, ledger.LostCommand}, 0},
	// What comes after PINGREQ may as well wait for the next.
	{"PINGRESP comes too early", func(p *planted) {
		p.next = func(l *plantedLink) (session.Delivery, bool) {
			if l.held != nil {
				d := *l.held
				l.held = nil
				return d, true
			}
			d, ok := l.Link.Next()
			if ok && strings.HasPrefix(l.id, "asleep") && p.once(500) {
				l.held = &d
				return session.Delivery{}, false
			}
			return d, ok
		}
	}, []ledger.Rule{ledger.EarlyPingresp}, 1},
	{"a datagram goes to a sleeper", func(p *planted) {
		p.world.beyond = func(to transport.Transport) transport.Transport {
			return &speaker{Transport: to, now: func() clock.Time { return p.world.now }, told: func() { p.done = true }}
		}
	}, []ledger.Rule{ledger.SleeperHeard}, 0},
	{"no will is published", func(p *planted) {
		p.ask = func(l *plantedLink, r *session.Request) {
			if r.Kind == session.AskDetach && r.Ending == session.Lost {
				r.Ending, p.done = session.Clean, true
			}
			l.Link.Ask(r)
		}
	}, []ledger.Rule{ledger.LostWill}, 0},
	{"a will is published twice", func(p *planted) {
		p.ask = func(l *plantedLink, r *session.Request) {
			l.Link.Ask(r)
			if r.Kind == session.AskDetach && r.Ending == session.Lost && strings.HasPrefix(l.id, "awake") && p.once(1) {
				p.publish("will/"+l.id, []byte("lost"))
			}
		}
	}, []ledger.Rule{ledger.FalseWill}, 0},
	// Who leaves a request unanswered for a while may be taken for lost.
	{"a will is published for one who is there", func(p *planted) {
		p.ask = func(l *plantedLink, r *session.Request) {
			l.Link.Ask(r)
			if r.Kind == session.AskPublish && r.QoS == 1 && p.once(1000) {
				p.publish("will/"+l.id, []byte("lost"))
			}
		}
	}, []ledger.Rule{ledger.FalseWill}, 1},
}

// TestPlanted: each fault, done once in a run, is found, on a radio that loses
// nothing and on one that loses a fifth, and nothing else is.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, tt := range plantable {
		for _, loss := range []string{"0%", "20%"} {
			missed := 0
			for seed := uint64(1); seed <= 3; seed++ {
				run := fmt.Sprintf("%s, loss %s, seed %d", tt.name, loss, seed)
				p := &planted{known: make(map[string]bool)}
				out, _ := virtually(t, fmt.Sprintf(town, loss), scenario.Overrides{Seed: seed}, func(w *world) {
					p.world = w
					tt.plant(p)
					w.between = func(b session.Broker) session.Broker {
						p.Broker = b
						return p
					}
				})
				if p.done != (tt.rules != nil) {
					t.Errorf("%s: it was done: %v, of %d occasions", run, p.done, p.turns)
				}
				for _, v := range out.Final.Violations {
					if !slices.Contains(tt.rules, v.Rule) {
						t.Errorf("%s: %s is found: %s\n%s", run, v.Rule, v.Text, strings.Join(v.Trace, "\n"))
					}
				}
				if out.Final.Broken == 0 {
					missed++
					continue
				}
				told(t, out, seed)
			}
			if tt.rules != nil && (missed > 0 && loss == "0%" || missed > tt.may) {
				t.Errorf("%s, loss %s: %d of 3 runs do not find it", tt.name, loss, missed)
			}
		}
	}
}

// told checks that a user is told what is wrong, and how to see it again.
func told(t *testing.T, out *drive.Outcome, seed uint64) {
	t.Helper()
	v := out.Final.Violations[0]
	t.Logf("seed %d: %s: %s", seed, v.Rule, v.Text)
	var text bytes.Buffer
	if err := tell(&text, report.New(out)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{v.Text, fmt.Sprintf("seed %d", seed), v.Trace[len(v.Trace)-1]} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
}
