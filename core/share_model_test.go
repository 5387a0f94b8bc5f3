package core

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"dormouse/core/store"
)

// TestSharedMessageIsSettledOnce has the members of a group come, go, pull and
// acknowledge at random, and the broker restart. At QoS 2 each message comes to
// exactly one of them; at QoS 1 one at least acknowledges it; as long as the
// group has a member. What the store knows is what the sessions have.
func TestSharedMessageIsSettledOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type said struct {
			qos     QoS
			excused bool // the group has been empty since
			settled int
		}
		type life struct {
			*person
			kept, attached, member bool
			flying                 map[uint16]Delivery
		}
		const filter = "$share/g/t"
		w := newWorld(t, func(o *Options) { o.MaxInflight, o.Store = 2, store.NewMemory() })
		bob := w.comes("bob")
		all := map[string]*said{}
		var people []*life
		for i := range 4 {
			people = append(people, &life{person: &person{w: w, id: fmt.Sprint("p", i)}})
		}
		anyone := rapid.SampledFrom(people)
		left := func() { // the group may be empty now
			for _, p := range people {
				if p.member {
					return
				}
			}
			for _, m := range all {
				m.excused = true
			}
		}
		ends := func(p *life) {
			p.attached = false
			if !p.kept {
				p.member = false
				left()
			}
		}
		next := func(p *life) bool {
			d, ok := p.Next()
			if !ok {
				return false
			}
			if d.Message != nil && d.QoS == 2 && !d.DUP {
				m := all[string(d.Payload)]
				if m.settled++; m.settled > 1 {
					rt.Fatalf("%s comes to %s, and has come before", d.Payload, p)
				}
			}
			p.flying[d.ID] = d
			return true
		}
		ack := func(p *life, id uint16) {
			d := p.flying[id]
			if !p.Ack(id) {
				rt.Fatalf("%s of %s is not in flight", show(d), p)
			}
			delete(p.flying, id)
			if d.QoS == 1 {
				all[string(d.Payload)].settled++
			}
		}
		open := func(p *life, kept, clean bool) {
			o := SessionOptions{CleanStart: clean}
			if kept {
				o.Expiry = Forever
			}
			if p.opensAgain(o); p.err != nil {
				rt.Fatal(p.err)
			}
			if !p.present && p.member {
				p.member = false
				left()
			}
			p.kept, p.attached, p.flying = kept, true, map[uint16]Delivery{}
		}
		// attached makes an action of what one does who is there. Nothing is
		// skipped: rapid soon gives up on who skips much.
		attached := func(do func(*rapid.T, *life)) func(*rapid.T) {
			return func(rt *rapid.T) {
				if p := anyone.Draw(rt, "who"); p.attached {
					do(rt, p)
				} else {
					open(p, true, false)
				}
			}
		}
		flying := func(do func(p *life, id uint16)) func(*rapid.T) {
			return attached(func(rt *rapid.T, p *life) {
				if len(p.flying) > 0 {
					do(p, rapid.SampledFrom(slices.Sorted(maps.Keys(p.flying))).Draw(rt, "id"))
				}
			})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				payload, qos := fmt.Sprint(len(all)), QoS(rapid.IntRange(1, 2).Draw(rt, "qos"))
				all[payload] = &said{qos: qos}
				left()
				bob.says(qos, "t="+payload)
			},
			"subscribe": attached(func(rt *rapid.T, p *life) {
				p.member = true
				p.subscribes(fmt.Sprint(filter, ":", rapid.IntRange(1, 2).Draw(rt, "qos")))
			}),
			"unsubscribe": attached(func(_ *rapid.T, p *life) {
				p.member = false
				left()
				p.Unsubscribe(filter, func(bool, error) {})
			}),
			"next": attached(func(_ *rapid.T, p *life) { next(p) }),
			"more": attached(func(_ *rapid.T, p *life) { next(p) }),
			"ack":  flying(ack),
			"received": flying(func(p *life, id uint16) {
				if p.flying[id].QoS == 2 {
					p.Received(id, func(bool) {})
				}
			}),
			"open": func(rt *rapid.T) {
				open(anyone.Draw(rt, "who"), rapid.Bool().Draw(rt, "kept"), rapid.Bool().Draw(rt, "clean"))
			},
			"detach": attached(func(_ *rapid.T, p *life) {
				ends(p)
				p.leaves(Lost)
			}),
			"restart": func(rt *rapid.T) {
				for _, p := range people {
					if p.attached && !p.kept {
						return // what it has would go with it
					}
				}
				w.Broker = New(w.o)
				if err := w.Restore(); err != nil {
					rt.Fatal(err)
				}
				bob.opensAgain(SessionOptions{Expiry: Forever})
				for _, p := range people {
					p.attached = false
				}
			},
			"": func(rt *rapid.T) {
				shadow := New(w.o)
				if err := shadow.Restore(); err != nil {
					rt.Fatal(err)
				}
				var sum backlog
				for c := range w.clients.All {
					id := c.id
					l := c.backlog()
					sum = backlog{sum.waiting + l.waiting, sum.bytes + l.bytes, sum.inflight + l.inflight}
					if want := c.owed(); c.kept.Load() && !slices.Equal(want, shadow.clients.Find(id).owed()) {
						rt.Fatalf("%s has %q, the store %q", id, want, shadow.clients.Find(id).owed())
					}
				}
				if s := w.Stats(); (backlog{s.Waiting, s.WaitingBytes, s.Inflight}) != sum {
					rt.Fatalf("%+v wait, counted %+v", sum, s)
				}
			},
		})
		for _, p := range people {
			if p.kept {
				open(p, true, false)
			}
		}
		for again := true; again; {
			again = false
			for _, p := range people {
				for id := range p.flying {
					if p.attached {
						ack(p, id)
					}
				}
				for p.attached && next(p) {
					again = true
				}
			}
		}
		for payload, m := range all {
			if m.settled == 0 && !m.excused {
				rt.Fatalf("nobody has settled %s of QoS %d", payload, m.qos)
			}
		}
	})
}

// owed is what c has at QoS 1 and 2, in order.
func (c *client) owed() (owed []string) {
	if c.mail == nil {
		return nil
	}
	for _, it := range slices.Concat(c.mail.inflight, c.mail.waiting[c.mail.head:]) {
		switch {
		case it.release:
			owed = append(owed, fmt.Sprint(it.id, " released"))
		case it.qos > 0:
			owed = append(owed, fmt.Sprintf("%d as %d %s/%d", it.seq, it.id, it.share(), it.qos))
		}
	}
	return owed
}

// TestShareUnderLoad has publishers and members run at once, who come and go
// with messages in their hands.
func TestShareUnderLoad(t *testing.T) {
	const publishers, members, messages = 2, 4, 2000
	o := DefaultOptions()
	o.Store, o.MaxInflight = store.NewMemory(), 8
	o.Queue.Messages, o.Queue.Bytes = publishers*messages, 1<<30
	b := New(o)
	var settled [publishers * messages]atomic.Int32
	var left atomic.Int32
	left.Store(publishers * messages)
	over := make(chan struct{})
	settle := func(p []byte, id string) {
		var n int
		fmt.Sscan(string(p), &n)
		switch settled[n].Add(1) {
		case 1:
			if left.Add(-1) == 0 {
				close(over)
			}
		case 2:
			if n%2 == 0 {
				t.Errorf("message %d comes to %s, and has come before", n, id)
			}
		}
	}
	var all sync.WaitGroup
	subscribed := make(chan bool, members)
	for i := range members {
		all.Go(func() {
			id, r := fmt.Sprint("m", i), rand.New(rand.NewPCG(1, uint64(i)))
			for first := true; ; first = false {
				sink := newReader()
				var s *Session
				b.Open(Identity{ClientID: id}, SessionOptions{Expiry: Forever}, sink, func(opened *Session, _ bool, _ error) { s = opened })
				s.Subscribe(Subscription{Filter: "$share/g/t/#", QoS: 2}, func(QoS, error) {})
				if first {
					subscribed <- true
				}
				for stays := r.IntN(100); stays > 0; {
					d, ok := s.Next()
					switch {
					case !ok:
						select {
						case <-sink.mail:
							continue
						case <-over:
							return
						}
					case d.QoS == 2 && d.Message != nil && !d.DUP:
						settle(d.Payload, id)
					}
					if stays--; stays == 0 {
						break
					}
					if d.QoS == 2 {
						s.Received(d.ID, func(bool) {})
					}
					if s.Ack(d.ID) && d.QoS == 1 {
						settle(d.Payload, id)
					}
				}
				if i > 0 && r.IntN(3) == 0 { // one always is a member
					s.Unsubscribe("$share/g/t/#", func(bool, error) {})
				}
				if r.IntN(2) == 0 {
					s.Detach(Lost, func(error) {})
				}
			}
		})
	}
	for range members {
		<-subscribed
	}
	b.Open(Identity{ClientID: "rock"}, SessionOptions{Expiry: Forever}, &nobody{}, func(s *Session, _ bool, _ error) {
		s.Subscribe(Subscription{Filter: "$share/g/#", QoS: 2}, func(QoS, error) {}) // another group: gets all
	})
	for p := range publishers {
		all.Go(func() {
			s := attach(b, fmt.Sprint("pub", p))
			for i := range messages {
				n := p*messages + i
				s.Publish(Message{Topic: fmt.Sprint("t/", p), Payload: fmt.Append(nil, n), QoS: QoS(2 - n%2)}, 1, func(error) {})
				s.Release(1, func(error) {})
			}
		})
	}
	all.Wait()
	if info, _ := b.Client("rock"); info.Waiting != publishers*messages {
		t.Errorf("another group has %d of %d", info.Waiting, publishers*messages)
	}
}

func TestEqualMembersShareEqually(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	var members []*person
	for i := range 20 {
		p := w.comes(fmt.Sprint("p", i)).subscribes("$share/g/t")
		if i%2 == 0 {
			p.leaves(Lost) // absent members take no turns
			continue
		}
		members = append(members, p)
	}
	for range 100 {
		bob.says(1, "t=x")
	}
	for _, p := range members {
		if n := len(p.pulls()); n != 10 {
			t.Errorf("%s gets %d of 100 among ten", p, n)
		}
	}
}
