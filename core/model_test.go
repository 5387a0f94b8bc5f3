package core

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"dormouse/core/store"
)

// TestNothingOwedIsLost has one client come, go, pull and acknowledge at
// random, and the broker restart, and compares with a plain list of what it is
// owed, in order. It may begin as a sensor with a clean session, which is kept
// once it has connected again, and until then does not outlive anything.
func TestNothingOwedIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type owed struct {
			payload  string
			qos      QoS
			id       uint16
			taken    bool // once, over any connection
			here     bool // over this one
			released bool
		}
		const window = 3
		w := newWorld(t, func(o *Options) { o.MaxInflight, o.Store = window, store.NewMemory() })
		begins := SessionOptions{Sensor: true}
		kept := rapid.Bool().Draw(rt, "kept")
		if kept {
			begins.Expiry = Forever
		}
		bob, ann := w.comes("bob"), w.opens("ann", begins).subscribes("t")
		attached, crashed := true, false
		var list []*owed // those taken first, all in order
		n := 0
		flying := func(rt *rapid.T) *owed {
			var f []*owed
			for _, m := range list {
				if m.taken && m.here {
					f = append(f, m)
				}
			}
			if len(f) == 0 || !attached {
				rt.Skip("nothing in flight")
			}
			return rapid.SampledFrom(f).Draw(rt, "flying")
		}
		remove := func(gone *owed) {
			list = slices.DeleteFunc(list, func(m *owed) bool { return m == gone })
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				n++
				m := &owed{payload: fmt.Sprint(n), qos: QoS(rapid.IntRange(0, 2).Draw(rt, "qos"))}
				bob.says(m.qos, "t="+m.payload)
				if m.qos > 0 || attached {
					list = append(list, m)
				}
			},
			"next": func(rt *rapid.T) {
				if crashed {
					rt.Skip("nobody is there to ask")
				}
				d, ok := ann.Next()
				var want *owed
				inFlight := 0
				for _, m := range list {
					if m.taken {
						inFlight++
					}
					if !m.here && want == nil {
						want = m
					}
				}
				if !attached || want != nil && !want.taken && inFlight >= window {
					want = nil
				}
				if ok != (want != nil) {
					rt.Fatalf("Next: %v, want %+v", ok, want)
				}
				if !ok {
					return
				}
				if d.DUP != want.taken || d.QoS != want.qos || d.Released != want.released ||
					want.taken && d.ID != want.id || (d.ID == 0) != (d.QoS == 0) ||
					!d.Released && string(d.Payload) != want.payload {
					rt.Fatalf("Next: %s %d, want %+v", show(d), d.ID, want)
				}
				want.taken, want.here, want.id = true, true, d.ID
				if want.qos == 0 {
					remove(want)
				}
				for _, m := range list {
					if m != want && m.id != 0 && m.id == d.ID {
						rt.Fatalf("identifier %d twice", d.ID)
					}
				}
			},
			"ack": func(rt *rapid.T) {
				m := flying(rt)
				ann.Ack(m.id)
				remove(m)
			},
			"received": func(rt *rapid.T) {
				m := flying(rt)
				if m.qos == 2 {
					ann.Received(m.id, func(bool) {})
					m.released = true
				}
			},
			"detach": func(rt *rapid.T) {
				if !kept {
					rt.Skip("that would be the end")
				}
				ann.leaves(Lost)
				attached = false
				list = slices.DeleteFunc(list, func(m *owed) bool { return m.qos == 0 })
			},
			"restart": func(rt *rapid.T) {
				if !kept {
					rt.Skip("that would be the end")
				}
				w.Broker = New(w.o)
				if err := w.Restore(); err != nil {
					rt.Fatal(err)
				}
				bob.opensAgain(SessionOptions{Expiry: Forever})
				attached, crashed = false, true
				list = slices.DeleteFunc(list, func(m *owed) bool { return m.qos == 0 })
			},
			"open": func(rt *rapid.T) {
				ann.mails.Store(0)
				ann.opensAgain(SessionOptions{Sensor: true, Expiry: Forever})
				attached, crashed, kept = true, false, true
				for _, m := range list {
					m.here = false
				}
				if told := ann.mails.Load() > 0; told != (len(list) > 0) {
					rt.Fatalf("told of mail: %v, with %d owed", told, len(list))
				}
			},
			"": func(rt *rapid.T) {
				waiting, bytes, inflight := 0, 0, 0
				for _, m := range list {
					if m.taken {
						inflight++
						continue
					}
					waiting++
					bytes += len("t") + len(m.payload)
				}
				s := w.Stats()
				if s.Waiting != waiting || s.WaitingBytes != bytes || s.Inflight != inflight {
					rt.Fatalf("%d wait, %d octets, %d in flight; want %d, %d, %d",
						s.Waiting, s.WaitingBytes, s.Inflight, waiting, bytes, inflight)
				}
			},
		})
	})
}

// A reader is a Sink whose goroutine pulls whenever there is mail.
type reader struct {
	mail chan struct{}
	kick chan struct{}
}

func newReader() *reader { return &reader{make(chan struct{}, 1), make(chan struct{})} }

func (r *reader) Mail() {
	select {
	case r.mail <- struct{}{}:
	default:
	}
}
func (r *reader) Kick(KickReason) { close(r.kick) }

// TestNoAcknowledgedMessageIsLost has publishers and subscribers run at once,
// while the subscribers are taken over again and again: each message comes, at
// QoS 2 once, and those of one publisher in order.
func TestNoAcknowledgedMessageIsLost(t *testing.T) {
	const publishers, subscribers, messages, takeovers = 4, 4, 2000, 50
	o := DefaultOptions()
	o.Queue.Messages, o.Queue.Bytes = publishers*messages, 1<<30
	b := New(o)
	open := func(id string, sink Sink) (s *Session) {
		b.Open(Identity{ClientID: id}, SessionOptions{Expiry: Forever}, sink, func(opened *Session, _ bool, _ error) { s = opened })
		return s
	}

	var readers, writers sync.WaitGroup
	for i := range subscribers {
		id := fmt.Sprint("sub", i)
		sink := newReader()
		s := open(id, sink)
		s.Subscribe(Subscription{Filter: "t/#", QoS: 2}, func(QoS, error) {})
		s.Subscribe(Subscription{Filter: "t/+", QoS: 1}, func(QoS, error) {})
		readers.Go(func() {
			var last [publishers]int
			got, taken := 0, 0
			released := map[uint16]bool{}
			for got < publishers*messages {
				select {
				case <-sink.mail:
				case <-sink.kick:
				}
				for {
					d, ok := s.Next()
					if !ok {
						break
					}
					switch {
					case d.Released:
						released[d.ID] = false
						s.Ack(d.ID)
						continue
					case d.DUP && released[d.ID]:
						t.Errorf("%s gets a message after PUBREC", id)
					}
					got++
					var p, n int
					fmt.Sscanf(string(d.Payload), "%d %d", &p, &n)
					if n != last[p]+1 {
						t.Errorf("%s gets message %d of %d after %d", id, n, p, last[p])
					}
					last[p] = n
					s.Received(d.ID, func(bool) {})
					released[d.ID] = true
					if got%(publishers*messages/takeovers) == 0 && taken < takeovers {
						taken++
						sink = newReader() // another connection
						s = open(id, sink)
						continue
					}
					s.Ack(d.ID)
					released[d.ID] = false
				}
			}
		})
	}
	var acked atomic.Int64
	for p := range publishers {
		s := open(fmt.Sprint("pub", p), &nobody{})
		topic := fmt.Sprint("t/", p)
		writers.Go(func() {
			for n := range messages {
				m := Message{Topic: topic, Payload: fmt.Appendf(nil, "%d %d", p, n+1), QoS: 2, Retain: n%10 == 0}
				s.Publish(m, 1, func(error) { acked.Add(1) })
				s.Release(1, func(error) {})
			}
		})
	}
	// Others come and go meanwhile.
	for i := range 2 {
		writers.Go(func() {
			for n := range 200 {
				s := open(fmt.Sprint("guest", i), &nobody{})
				s.Subscribe(Subscription{Filter: "#", QoS: 1}, func(QoS, error) {})
				s.Next()
				s.Unsubscribe("#", func(bool, error) {})
				if n%3 == 0 {
					s.SetExpiry(0)
				}
				s.Detach(Lost, func(error) {})
			}
		})
	}
	writers.Wait()
	readers.Wait()
	if acked.Load() != publishers*messages {
		t.Errorf("%d of %d acknowledged", acked.Load(), publishers*messages)
	}
}

// TestSubscriberSeesLiveOrRetained races a retained publish against a
// subscribe: the message comes one way or the other, and not both.
func TestSubscriberSeesLiveOrRetained(t *testing.T) {
	b := New(DefaultOptions())
	pub := attach(b, "pub")
	for i := range 2000 {
		sub := attach(b, "sub")
		topic := fmt.Sprint("t/", i)
		var both sync.WaitGroup
		both.Go(func() { pub.Publish(Message{Topic: topic, Payload: []byte("x"), Retain: true}, 0, func(error) {}) })
		both.Go(func() { sub.Subscribe(Subscription{Filter: topic}, func(QoS, error) {}) })
		both.Wait()
		n := 0
		for _, ok := sub.Next(); ok; _, ok = sub.Next() {
			n++
		}
		if n != 1 {
			t.Fatalf("race %d: the message came %d times", i, n)
		}
		sub.Unsubscribe(topic, func(bool, error) {})
	}
}
