package drive

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim"
	"dormouse/sim/ledger"
)

// A diary is what happened to the fakes of a test, and when.
type diary struct {
	start clock.Time
	lines []string
}

func (d *diary) note(now clock.Time, format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf("%v "+format, append([]any{now.Sub(d.start)}, args...)...))
}

// A herd is a fleet whose endpoints take turns to say something, one each
// every so often.
type herd struct {
	*diary
	size    int
	every   time.Duration
	command bool

	due      clock.Time
	turn     int
	said     []sim.Endpoint
	pubs     []*sim.Publication
	got      map[string]int // what was received, heard and so on
	silent   bool           // it notes nothing, and counts
	mute     bool           // not even that
	restless bool
	qosMinus bool
	settled  bool
	applied  *sim.Change
}

func newHerd(d *diary, size int, every time.Duration) *herd {
	return &herd{diary: d, size: size, every: every, due: d.start.Add(every), got: make(map[string]int)}
}

var (
	connect = []byte{0x07, 0x04, 0x04, 0x01, 0x00, 0x3c, 'x'}
	publish = []byte{0x08, 0x0c, 0x62, 'a', 'b', 0, 0, 'x'} // at QoS -1
)

func (h *herd) Step(now clock.Time) {
	if !h.due.Reached(now) {
		return
	}
	h.due = now.Add(h.every)
	if h.restless {
		h.due = now
	}
	h.said = append(h.said, sim.Endpoint(h.turn))
	if h.command {
		h.pubs = append(h.pubs, &sim.Publication{Topic: fmt.Sprint("to ", h.turn)})
	}
	h.turn = (h.turn + 1) % h.size
	if !h.mute {
		h.event(now, "step")
	}
}

func (h *herd) event(now clock.Time, format string, args ...any) {
	h.got[fmt.Sprintf(format, args...)]++
	if !h.silent {
		h.note(now, "fleet: "+format, args...)
	}
}

func (h *herd) Next() clock.Time                       { return h.due }
func (h *herd) Endpoints() int                         { return h.size }
func (h *herd) Addressing(sim.Endpoint) sim.Addressing { return sim.OwnAddress }

func (h *herd) Secured(sim.Endpoint) bool                                     { return false }
func (h *herd) Handshakes(func(*sim.Handshake) bool)                          {}
func (h *herd) Say(clock.Time, *sim.Handshake, []byte)                        {}
func (h *herd) Agreed(clock.Time, *sim.Handshake, *record.Association, error) {}

func (h *herd) Datagrams(yield func(sim.Endpoint, []byte) bool) {
	b := connect
	if h.qosMinus {
		b = publish
	}
	for _, e := range h.said {
		yield(e, b)
	}
	h.said = h.said[:0]
}

func (h *herd) Receive(now clock.Time, e sim.Endpoint, b []byte) {
	if h.mute {
		return
	}
	h.event(now, "endpoint %d gets %d octets", e, len(b))
}
func (h *herd) Filters() []sim.Subscription { return []sim.Subscription{{Filter: "reports/#", QoS: 2}} }
func (h *herd) Heard(now clock.Time, topic string, b []byte, retained bool) {
	if !h.mute {
		h.event(now, "hears %s", topic)
	}
}

func (h *herd) Publications(yield func(*sim.Publication) bool) {
	for _, p := range h.pubs {
		yield(p)
	}
	h.pubs = h.pubs[:0]
}

func (h *herd) Published(now clock.Time, p *sim.Publication, err error) {
	h.event(now, "published %s: %v", p.Topic, err)
}
func (h *herd) Restarted(now clock.Time) { h.event(now, "restarted") }
func (h *herd) Apply(now clock.Time, c *sim.Change) error {
	h.applied, h.due = c, now.Add(time.Second)
	return nil
}
func (h *herd) Close(now clock.Time) { h.event(now, "close") }
func (h *herd) Cut(now clock.Time)   { h.event(now, "cut") }
func (h *herd) Settled() bool        { return h.settled }
func (h *herd) Stats(s *sim.Stats) {
	if s.Groups == nil {
		s.Groups = make([]sim.GroupStats, 1)
	}
	s.Groups[0].Devices += h.size
	s.Groups[0].Latency[sim.ToAck] = new(hdrhistogram.Histogram)
	s.Violations = []ledger.Violation{{}}
}

// An echo is a world that answers each datagram after a while, tells the
// observer of it, and publishes at once.
type echo struct {
	*diary
	after  time.Duration
	silent bool

	now     clock.Time
	waiting []wait // in order of time
	out     []netip.AddrPort
	hear    func(string, []byte, byte, bool)
	filters []string
	fail    error
}

type wait struct {
	at clock.Time
	to netip.AddrPort
}

func (w *echo) Hear(f func(string, []byte, byte, bool)) { w.hear = f }
func (w *echo) Subscribe(filter string, qos byte) error {
	w.filters = append(w.filters, filter)
	return w.fail
}
func (w *echo) Publish(topic string, _ []byte, _ byte, _ bool, done func(error)) { done(nil) }
func (w *echo) Close() error                                                     { return nil }

func (w *echo) Step(now clock.Time) {
	w.now = now
	for len(w.waiting) > 0 && w.waiting[0].at <= now {
		w.out = append(w.out, w.waiting[0].to)
		w.waiting = w.waiting[:copy(w.waiting, w.waiting[1:])]
		w.hear("reports/x", nil, 0, false)
	}
}

func (w *echo) Next() clock.Time {
	if len(w.waiting) == 0 {
		return 0
	}
	return w.waiting[0].at
}

func (w *echo) Receive(from netip.AddrPort, b []byte) {
	if !w.silent {
		w.note(w.now, "world: %d octets from %v", len(b), from)
	}
	w.waiting = append(w.waiting, wait{w.now.Add(w.after), from})
}

func (w *echo) Sent(yield func(netip.AddrPort, []byte) bool) {
	for _, to := range w.out {
		yield(to, connect)
	}
	w.out = w.out[:0]
}

func (w *echo) Restart(now clock.Time) error {
	w.waiting, w.out = nil, nil
	w.note(now, "world: restart")
	return w.fail
}
