package ledger

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
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

type dev struct {
	c       *client.Client
	cfg     client.Config
	addr    int
	tag     payload.Tag // in flight
	flying  bool
	silent  bool
	subbed  bool
	session client.Session
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

// device has a client do something, and carries out what follows.
func (w *world) device(i int, do func(*client.Actions) error) error {
	d := w.devices[i]
	var out client.Actions
	err := do(&out)
	for b := range out.Datagrams {
		p := decode(w.t, slices.Clone(b))
		addr := d.addr
		if !w.carry(func() {
			if d.addr != addr {
				return // see Moved
			}
			w.book.Up(int32(i), w.now, p)
			w.cross(0, func() { w.g.receive(addr, p) })
		}) {
			w.book.Lost(int32(i), w.now, true, p, FateLost)
		}
	}
	for _, m := range out.Messages {
		if t, ok := payload.Parse(m.Payload); ok {
			w.book.Delivered(int32(i), t, w.now)
		}
	}
	switch o := out.Ended; o.Request {
	case client.ToPublish:
		if d.flying {
			d.flying = false
			switch {
			case o.Err == nil:
				w.book.Acknowledged(int32(i), d.tag, w.now)
			default:
				w.book.TimedOut(int32(i), d.tag, w.now)
			}
		}
	case client.ToSubscribe:
		d.subbed = o.Err == nil
	}
	if out.Gone != nil && d.session.CleanSession {
		d.subbed = false
	}
	return err
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

// act has a device do something at random, and again later.
func (w *world) act(i int) {
	d := w.devices[i]
	w.after(time.Duration(200+w.rng.IntN(20000))*time.Millisecond, func() { w.act(i) })
	if w.restarts && w.chance(.001) {
		w.g.restart(w.forgets)
		w.book.Restarted(w.now)
	}
	if w.chance(.1) {
		w.command(i)
	}
	if d.silent {
		return
	}
	if w.ills && w.chance(.03) {
		w.befall(i)
		return
	}
	if d.c.Busy() {
		return
	}
	switch d.c.State() {
	case client.Disconnected:
		s := d.session
		d.subbed = false
		w.device(i, func(out *client.Actions) error { return d.c.Connect(w.now, s, out) })
	case client.Active:
		switch {
		case !d.subbed:
			w.device(i, func(out *client.Actions) error {
				return d.c.Subscribe(w.now, mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}, mqttsn.QoS(i%3), out)
			})
		case w.chance(.6):
			w.report(i)
		case w.chance(.7):
			w.device(i, func(out *client.Actions) error {
				return d.c.Sleep(w.now, time.Duration(20+w.rng.IntN(100))*time.Second, out)
			})
		}
	case client.Asleep:
		switch {
		case w.chance(.85):
			w.device(i, func(out *client.Actions) error { return d.c.Wake(w.now, out) })
		case w.chance(.5):
			s := d.session
			w.device(i, func(out *client.Actions) error { return d.c.Connect(w.now, s, out) })
			d.subbed = !s.CleanSession && d.subbed
		default:
			w.device(i, func(out *client.Actions) error { return d.c.Sleep(w.now, time.Minute, out) })
		}
	}
}

func (w *world) report(i int) {
	d := w.devices[i]
	q := w.qos[w.rng.IntN(len(w.qos))]
	n := uint8(q & 1)
	t := w.book.Send(int32(i), n, q, w.now)
	d.tag, d.flying = t, q > 0
	w.device(i, func(out *client.Actions) error {
		return d.c.Publish(w.now, &client.Message{QoS: q, Topic: mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: 1 + uint16(n)},
			Payload: payload.Config{}.Append(nil, payload.Reading{Tag: t})}, out)
	})
}

// command sends one device, or all, a command.
func (w *world) command(i int) {
	q := mqttsn.QoS(w.rng.IntN(3))
	to := w.devices[i : i+1]
	var t payload.Tag
	if w.chance(.1) {
		t = w.book.PublishAll(q, time.Minute, w.now)
		to = w.devices
	} else {
		t = w.book.Publish(int32(i), q, time.Minute, w.now)
	}
	b := payload.Config{}.Append(nil, payload.Reading{Tag: t})
	w.toMQTT(func() {
		for _, d := range to {
			w.g.command(d.session.ClientID, b, q)
		}
		w.toMQTT(func() { w.book.Accepted(t, w.now) })
	})
}

func (w *world) befall(i int) {
	d := w.devices[i]
	switch w.rng.IntN(8) {
	case 0, 1:
		if d.flying {
			w.book.TimedOut(int32(i), d.tag, w.now)
			d.flying = false
		}
		w.book.Rebooted(int32(i), w.now)
		d.c, d.subbed = client.New(mqttsn.V12, &d.cfg), false
	case 2:
		delete(w.at, d.addr)
		d.addr = 1000 + w.order
		w.at[d.addr] = i
		w.book.Moved(int32(i), w.now)
	case 3:
		j := w.rng.IntN(len(w.devices))
		o := w.devices[j]
		d.addr, o.addr = o.addr, d.addr
		w.at[d.addr], w.at[o.addr] = i, j
		w.book.Moved(int32(i), w.now)
		w.book.Moved(int32(j), w.now)
	case 4:
		if d.c.State() != client.Disconnected && !d.c.Busy() {
			w.device(i, func(out *client.Actions) error { return d.c.Disconnect(w.now, out) })
		}
	case 5, 6, 7:
		if d.silent = true; w.chance(.8) {
			w.after(time.Duration(w.rng.IntN(600))*time.Second, func() { d.silent = false })
		}
	}
}

func (w *world) complain() string {
	all, n := w.book.Violations()
	if n == 0 {
		return ""
	}
	v := all[0]
	return fmt.Sprintf("%d violations; the first: %s of device %d at %v: %s\n%s\n%v", n, v.Rule, v.Device, v.At, v.Text, strings.Join(v.Trace, "\n"), w.book.Broken())
}
