package ledger

import (
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/payload"
)

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
