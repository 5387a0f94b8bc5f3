package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
	"dormouse/sim/drive"
	"dormouse/sim/ledger"
	"dormouse/sim/report"
	"dormouse/sim/scenario"
)

// sleepers are a fleet that gives each fault an occasion: some 20,000 reports,
// and a command for each sleeper at nearly each of its wakes, on a bad radio.
const sleepers = `
name: sleepers
groups:
  awake:
    count: 100
    keepalive: 1m
    reports: {every: 5s, jitter: 1s, qos: 1}
    radio: {latency: 30ms, loss: 5%}
  asleep:
    count: 100
    keepalive: 1m
    commands: {topic: "c/%i", every: 20s, jitter: 5s, qos: 1}
    sleep: {policy: sleep, for: 1m, poll: 20s, jitter: 2s}
    radio: {latency: 30ms, loss: 5%}
stages:
  - {name: all, for: 18m}
settle: 3m
thresholds:
  - violations == 0
`

// virtually runs a scenario against a world that is made as make says.
func virtually(t *testing.T, text string, o scenario.Overrides, make func(*world)) (*drive.Outcome, *world) {
	t.Helper()
	s, err := scenario.Parse(t.Name(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cfg: config.Default(), seed: p.Seed, store: store.Volatile{}, now: drive.Start}
	if make != nil {
		make(w)
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	out, err := drive.Virtual(t.Context(), p, w, drive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out, w
}

// TestFaults: a gateway that is faultless is found so, and one that breaks its
// word, once, is found out; then the device's trace is told, and the seed.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(*world)
		want  ledger.Rule // empty: no fault
	}{
		{"none", nil, ""},
		{"a datagram to a sleeper", speakToSleeper, ledger.SleeperHeard},
		{"one message in 10,000 lost", loseMessage, ledger.LostReport},
		{"PINGRESP too early", answerEarly, ledger.EarlyPingresp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _ := virtually(t, sleepers, scenario.Overrides{Seed: 42}, tt.fault)
			if u := out.Final.Groups[0].Ledger.Uplink; u.Sent < 20_000 {
				t.Errorf("there were %d reports only", u.Sent)
			}
			r := report.New(out)
			var text bytes.Buffer
			if err := tell(&text, r); err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if out.Final.Broken != 0 || !r.Passed {
					t.Errorf("a faultless gateway is blamed:\n%s", &text)
				}
				return
			}
			if out.Final.Broken == 0 || r.Passed {
				t.Fatal("the fault is not found")
			}
			for _, v := range out.Final.Violations {
				if v.Rule != tt.want {
					t.Errorf("%s is found: %s; want %s alone", v.Rule, v.Text, tt.want)
				}
				if len(v.Trace) < 3 {
					t.Errorf("the trace is %q", v.Trace)
				}
			}
			v := out.Final.Violations[0]
			for _, want := range []string{string(tt.want), "seed 42", v.Trace[len(v.Trace)-1]} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is not in\n%s", want, &text)
				}
			}
		})
	}
}

// speakToSleeper has the gateway send something to a device that it has let go
// to sleep, a second after.
func speakToSleeper(w *world) {
	w.beyond = func(to transport.Transport) transport.Transport {
		return &speaker{Transport: to, now: func() clock.Time { return w.now }}
	}
}

type speaker struct {
	transport.Transport
	now     func() clock.Time
	asleep  transport.Peer
	at      clock.Time
	tooLate clock.Time
	said    bool
	told    func() // when it has; or nil
}

func (s *speaker) Send(batch []transport.Datagram) error {
	now := s.now()
	if !s.said && s.at.Reached(now) && now < s.tooLate {
		s.said = true
		if s.told != nil {
			s.told()
		}
		b, _ := mqttsn.Append(nil, mqttsn.V12, &mqttsn.Pingreq{})
		s.Transport.Send([]transport.Datagram{{Peer: s.asleep, Buf: b}})
	}
	for _, d := range batch {
		p, err := mqttsn.Decode(mqttsn.V12, d.Buf)
		if err == nil && p.Type() == mqttsn.TypePingresp && now >= s.tooLate {
			s.asleep, s.at, s.tooLate = d.Peer, now.Add(time.Second), now.Add(5*time.Second)
		}
	}
	return s.Transport.Send(batch)
}

// loseMessage has the gateway acknowledge one message in 10,000 without passing
// it on.
func loseMessage(w *world) {
	published := 0
	w.between = func(b session.Broker) session.Broker {
		return meddler{b, func(l session.Link, seat session.Seat, r *session.Request) {
			if r.Kind == session.AskPublish {
				if published++; published%10_000 == 5_000 {
					seat.Answer(session.Answer{Kind: r.Kind, Tag: r.Tag})
					return
				}
			}
			l.Ask(r)
		}, session.Link.Next}
	}
}

// answerEarly has the gateway take a queue for empty that is not, once.
func answerEarly(w *world) {
	taken, lied := 0, false
	w.between = func(b session.Broker) session.Broker {
		return meddler{b, func(l session.Link, _ session.Seat, r *session.Request) { l.Ask(r) },
			func(l session.Link) (session.Delivery, bool) {
				if taken >= 100 && !lied && w.broker.Stats().Waiting > 50 {
					lied = true
					return session.Delivery{}, false
				}
				taken++
				return l.Next()
			}}
	}
}

// A meddler is a broker whose links do something else.
type meddler struct {
	session.Broker
	ask  func(session.Link, session.Seat, *session.Request)
	next func(session.Link) (session.Delivery, bool)
}

func (m meddler) Open(c session.Client, r *session.Request, seat session.Seat) session.Link {
	return &meddlerLink{m.Broker.Open(c, r, seat), seat, m}
}

type meddlerLink struct {
	session.Link
	seat session.Seat
	m    meddler
}

func (l *meddlerLink) Ask(r *session.Request)         { l.m.ask(l.Link, l.seat, r) }
func (l *meddlerLink) Next() (session.Delivery, bool) { return l.m.next(l.Link) }

// Coming has nothing to wait for: the store of these worlds answers at once.
func (l *meddlerLink) Coming() bool { return false }
