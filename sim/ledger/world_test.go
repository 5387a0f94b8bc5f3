package ledger

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A world is real clients on a bad radio, a model of a gateway, and a book
// that looks on.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	book    *Book
	g       *gateway
	now     clock.Time
	events  events
	order   int
	devices []*dev
	at      map[int]int // devices by address
	last    [2]clock.Time
	held    payload.Tag // a report that a faulty gateway holds back
	climate
}

// climate is how the world is.
type climate struct {
	devices  int
	duration time.Duration
	loss     float64 // each way
	repeat   float64
	late     float64       // share of datagrams that are held up for long
	sockets  time.Duration // between the tap and the gateway, where some are lost
	clean    float64       // share of clean connections
	ills     bool          // reboots, moves, vanishing devices, goodbyes
	restarts bool
	forgets  bool
	qos      []mqttsn.QoS // of reports
	quiet    bool         // devices stop talking, once
	exact    bool
}

type happening struct {
	at    clock.Time
	order int
	do    func()
}

type events []happening

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(happening)) }
func (e *events) Pop() any     { o := *e; x := o[len(o)-1]; *e = o[:len(o)-1]; return x }

const begin = clock.Time(time.Hour)

func newWorld(t *testing.T, seed uint64, c climate) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: begin, at: make(map[int]int), climate: c}
	cfg := Config{Group: "g", Devices: c.devices, First: 10, Streams: 2, Forgets: c.forgets, Exact: c.exact, Trace: 60, Slack: 10 * time.Millisecond}
	if c.sockets > 0 {
		cfg.Slack = 3 * c.sockets
	}
	for s := range 7 {
		cfg.States = append(cfg.States, client.State(s).String())
	}
	w.book = New(cfg, begin)
	w.g = &gateway{w: w, sessions: make(map[string]*session), bound: make(map[int]*session), seen: make(map[payload.Tag]bool),
		retries: 2 + w.rng.IntN(4), interval: time.Duration(5+w.rng.IntN(11)) * time.Second, grace: 1 + w.rng.Float64()*.7}
	for i := range c.devices {
		d := &dev{addr: i, cfg: client.DefaultConfig()}
		d.c = client.New(mqttsn.V12, &d.cfg)
		d.session = client.Session{ClientID: fmt.Sprint("d", i), KeepAlive: time.Duration(w.rng.IntN(8)*20) * time.Second, CleanSession: w.rng.Float64() < c.clean}
		if w.rng.IntN(2) == 0 {
			d.session.Will = &client.Will{Topic: fmt.Sprint("gone/d", i)}
		}
		w.devices = append(w.devices, d)
		w.at[i] = i
		w.after(time.Duration(w.rng.IntN(5000))*time.Millisecond, func() { w.act(i) })
	}
	return w
}

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, happening{w.now.Add(d), w.order, do})
}

func (w *world) inOrder(m map[string]*session) []*session {
	var all []*session
	for i := range w.devices {
		if s := m[fmt.Sprint("d", i)]; s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

func (w *world) run() {
	end := w.now.Add(w.duration)
	w.until(end)
	for _, d := range w.devices {
		d.silent = d.silent || w.quiet && w.chance(.5)
	}
	w.until(end.Add(10 * time.Minute))
	w.book.Close(w.now)
}

func (w *world) until(end clock.Time) {
	for {
		next := end
		if len(w.events) > 0 {
			next = min(next, w.events[0].at)
		}
		for _, s := range w.g.sessions {
			if s.dies != 0 {
				next = min(next, s.dies)
			}
			if s.flying != nil && s.flying.again != 0 {
				next = min(next, s.flying.again)
			}
		}
		for _, d := range w.devices {
			if at := d.c.Deadline(); at != 0 && !d.silent {
				next = min(next, at)
			}
		}
		w.now = max(w.now, next)
		if w.now >= end {
			return
		}
		w.g.tick(w.now)
		for i, d := range w.devices {
			if !d.silent && d.c.Deadline().Reached(w.now) {
				w.device(i, func(out *client.Actions) error { d.c.Tick(w.now, out); return nil })
			}
		}
		for len(w.events) > 0 && w.events[0].at <= w.now {
			heap.Pop(&w.events).(happening).do()
		}
	}
}

// held-up datagrams come out of order.
func (w *world) delay() time.Duration {
	if w.chance(w.late) {
		return time.Duration(w.rng.IntN(30000)) * time.Millisecond
	}
	return time.Duration(1+w.rng.IntN(800)) * time.Millisecond
}

func (w *world) carry(do func()) bool {
	if w.chance(w.loss) {
		return false
	}
	w.after(w.delay(), do)
	if w.chance(w.repeat) {
		w.after(w.delay(), do)
	}
	return true
}

// cross carries between the tap and the gateway, in order, and not all.
func (w *world) cross(way int, do func()) {
	if w.sockets == 0 {
		do()
		return
	}
	if w.chance(.005) {
		return
	}
	at := max(w.last[way], w.now.Add(time.Duration(w.rng.Int64N(int64(w.sockets)))))
	w.last[way] = at
	w.after(at.Sub(w.now), do)
}

func decode(t *testing.T, b []byte) mqttsn.Packet {
	p, err := mqttsn.Decode(mqttsn.V12, b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) down(addr int, p mqttsn.Packet) {
	b, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		w.t.Fatal(err)
	}
	p = decode(w.t, b)
	w.cross(1, func() {
		i, ok := w.at[addr]
		if !ok {
			return
		}
		w.book.Down(int32(i), w.now, p)
		if !w.carry(func() {
			if d := w.devices[i]; !d.silent {
				w.device(i, func(out *client.Actions) error { d.c.Handle(w.now, p, out); return nil })
			}
		}) {
			w.book.Lost(int32(i), w.now, false, p, FateLost)
		}
	})
}

func (w *world) publish(t payload.Tag) {
	w.toMQTT(func() { w.book.Received(t, w.now) })
	if h := w.held; h.Device == t.Device && h.Stream == t.Stream {
		w.toMQTT(func() { w.book.Received(h, w.now) })
		w.held = payload.Tag{}
	}
}

func (w *world) publishLate(t payload.Tag) { w.held = t }

// toMQTT carries to the MQTT side.
func (w *world) toMQTT(do func()) {
	if w.sockets == 0 {
		do()
		return
	}
	w.after(w.sockets/2, do)
}

func (w *world) will(name string) {
	var i int
	fmt.Sscanf(name, "d%d", &i)
	w.toMQTT(func() { w.book.WillPublished(int32(i), w.now) })
}

func (w *world) complain() string {
	all, n := w.book.Violations()
	if n == 0 {
		return ""
	}
	v := all[0]
	return fmt.Sprintf("%d violations; the first: %s of device %d at %v: %s\n%s\n%v", n, v.Rule, v.Device, v.At, v.Text, strings.Join(v.Trace, "\n"), w.book.Broken())
}
