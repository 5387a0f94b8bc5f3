package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dormouse/core"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// TestSleeperNoticesNothing: after a restart a bare PINGREQ brings everything,
// in order, under the same ids, nothing of QoS 2 twice, and PINGRESP last.
func TestSleeperNoticesNothing(t *testing.T) {
	for _, address := range []string{"10.0.0.1:7", "[fe80::1%eth0]:7", "[2001:db8::1]:9", "10.0.0.1:7/0a0b"} {
		for _, ping := range []string{"", "a"} {
			w := durableWorld(t, nil)
			app := w.keptApp()
			s := w.at(address)
			s.says(connectKept("a")).says(&mqttsn.Subscribe{QoS: 2, ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd/#")}})
			app.says("cmd/x", "told", 1)
			w.syncs()
			id := last[*mqttsn.Register](s)
			s.says(&mqttsn.Regack{TopicID: id.TopicID, ID: id.ID})
			s.says(&mqttsn.Puback{TopicID: id.TopicID, ID: last[*mqttsn.Publish](s).ID}).gets("CONNACK SUBACK")
			s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("DISCONNECT")
			for i := range 6 {
				app.says("cmd/x", fmt.Sprint(i), core.QoS(1+i%2))
			}
			w.syncs()
			s.gets("")
			// The first is on its way when the broker is killed.
			s.says(&mqttsn.Pingreq{}).gets("PUBLISH")
			w.killed()
			s.gets("")
			var got []string
			for s.says(&mqttsn.Pingreq{ClientID: []byte(ping)}); len(s.got) > 0; {
				p := s.got[0]
				s.got = s.got[1:]
				switch p := p.(type) {
				case *mqttsn.Publish:
					got = append(got, string(p.Payload))
					if p.Topic.ID != id.TopicID {
						t.Errorf("it came under id %d", p.Topic.ID)
					}
					if p.QoS == 1 {
						s.says(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
					} else {
						s.says(&mqttsn.Pubrec{ID: p.ID})
					}
				case *mqttsn.Pubrel:
					s.says(&mqttsn.Pubcomp{ID: p.ID})
				default:
					got = append(got, p.Type().String())
				}
			}
			if want := "0 1 2 3 4 5 PINGRESP"; strings.Join(got, " ") != want {
				t.Errorf("%s: got %q, want %q", address, got, want)
			}
			w.audit()
		}
	}
}

// TestActiveNoticesNothing: an active sensor goes on to get and say what is
// under way, without a word from it first.
func TestActiveNoticesNothing(t *testing.T) {
	w := durableWorld(t, nil)
	app := w.keptApp()
	s := settled(w)
	app.says("cmd", "one", 2)
	w.syncs()
	s.gets("PUBLISH")
	app.says("cmd", "two", 1)
	w.syncs()
	w.killed()
	if p := last[*mqttsn.Publish](s); !p.DUP || p.Topic.ID != 1 {
		t.Errorf("it comes again as %v", p)
	}
	s.says(&mqttsn.Pubrec{ID: 1}).gets("PUBREL")
	w.killed()
	s.gets("PUBREL").says(&mqttsn.Pubcomp{ID: 1}).gets("PUBLISH")
	w.killed()
	again := last[*mqttsn.Publish](s)
	s.says(&mqttsn.Puback{TopicID: 1, ID: again.ID}).gets("")
	s.says(publishTo(2, 2, 9, "x")).gets("PUBREC")
	w.killed()
	s.says(&mqttsn.Pubrel{ID: 9}).gets("PUBCOMP")
	s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
	app.returns()
	app.wants(t, "up=x")
	w.wantCount("strangers_answered_total", "", 0)
}

// TestSleepDeadlineOverRestarts: whenever the gateway comes back, and whatever
// the wall clock says then, a sleeper that comes in good order is there, and
// one that does not is lost, and its will fires once.
func TestSleepDeadlineOverRestarts(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name        string
		slept, skew time.Duration // before the restart, and how the clock is set meanwhile
		lost        time.Duration // after the restart, if it is never heard again
	}{
		{"at once", 0, 0, 90 * time.Minute},
		{"soon", 10 * time.Minute, 0, 80 * time.Minute},
		{"late", 80 * time.Minute, 0, 66 * time.Minute},
		{"long after", 100 * hour, 0, 66 * time.Minute},
		{"clock forward", 10 * time.Minute, hour, 66 * time.Minute},
		{"clock back", 10 * time.Minute, -hour, 90 * time.Minute},
		{"clock years back", 10 * time.Minute, -100_000 * hour, 90 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, away := range []bool{false, true} {
				w := durableWorld(t, nil)
				app := w.keptApp()
				s := settled(w).says(&mqttsn.Disconnect{Duration: hour}).gets("DISCONNECT")
				w.disk.crash(0)
				w.now = w.now.Add(tt.slept)
				w.net.Advance(w.now)
				w.skew = tt.skew
				w.start()
				w.settle()
				app.returns()
				w.pass(tt.lost - time.Second)
				w.syncs()
				app.wants(t)
				if !away {
					s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
					w.skew += hour // and while it runs it matters not at all
					w.pass(89 * time.Minute)
					s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
					continue
				}
				w.pass(2 * time.Second)
				w.syncs()
				app.wants(t, "will=gone")
				s.says(&mqttsn.Pingreq{}).gets("DISCONNECT")
				w.killed()
				app.returns()
				w.pass(3 * hour)
				app.wants(t)
				s.says(&mqttsn.Pingreq{}).gets("DISCONNECT")
			}
		})
	}
}

// TestActiveIsLostAfterARestart: one that stays away has its keep alive from
// then on, and half as much.
func TestActiveIsLostAfterARestart(t *testing.T) {
	w := durableWorld(t, nil)
	app := w.keptApp()
	settled(w)
	w.killed()
	app.returns()
	w.pass(89 * time.Second)
	w.syncs()
	app.wants(t)
	w.pass(2 * time.Second)
	w.syncs()
	app.wants(t, "will=gone")
}

// TestWhoHasToConnectAfterARestart: whoever was not there, or has a clean
// session, or whose gateway this is not.
func TestWhoHasToConnectAfterARestart(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(w *world, s *sensor)
	}{
		{"clean", func(w *world, s *sensor) {
			s.says(&mqttsn.Connect{ProtocolID: 1, CleanSession: true, ClientID: []byte("a")}).gets("CONNACK")
		}},
		{"gone", func(w *world, s *sensor) { s.says(&mqttsn.Disconnect{}).gets("DISCONNECT") }},
		{"lost", func(w *world, s *sensor) { w.pass(2 * time.Minute); w.syncs() }},
		{"came by the other edge", func(w *world, s *sensor) {
			(&keptApp{w: w, first: 1, name: "a"}).returns()
			w.syncs()
			s.gets("DISCONNECT")
		}},
		{"came by another listener", func(w *world, s *sensor) { w.config.Listener = "other" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := durableWorld(t, nil)
			s := settled(w)
			tt.do(w, s)
			w.killed()
			if n := w.g.seats.Load(); n != 0 {
				t.Errorf("%d seats were taken up", n)
			}
			s.says(&mqttsn.Pingreq{}).gets("DISCONNECT")
			s.says(connectKept("a")).gets("CONNACK")
		})
	}
}

// TestSilenceUntilReady: a gateway that does not know its clients yet tells
// none of them that it does not know it.
func TestSilenceUntilReady(t *testing.T) {
	w := durableWorld(t, nil)
	s := settled(w).says(&mqttsn.Disconnect{Duration: time.Hour}).gets("DISCONNECT")
	w.disk.crash(0)
	w.prepare()
	s.says(&mqttsn.Pingreq{}).gets("")
	w.at("10.0.0.3:7").says(connectKept("new")).gets("")
	w.wantCount("datagrams_dropped_total", "not_ready", 2)
	w.open()
	s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
	w.wantCount("datagrams_dropped_total", "not_ready", 2)
	w.g.SetReady(false) // we are about to stop
	s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
}

// TestTwoWereThere: an address is whose session was stored there last. The
// other goes on without, and is lost in its time.
func TestTwoWereThere(t *testing.T) {
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		w := durableWorld(t, func(c *Config) { c.AddressMigration = Always })
		s := w.at("10.0.0.1:7")
		s.says(connectKept(names[0])).says(&mqttsn.Disconnect{Duration: time.Hour}).gets("CONNACK DISCONNECT")
		w.pass(time.Second)
		s.says(connectKept(names[1])).gets("CONNACK")
		w.killed()
		w.audit()
		if n := w.g.seats.Load(); n != 2 || w.g.clients.find(names[1]).source != s.source {
			t.Errorf("of %d seats it is %s who sits there", n, names[0])
		}
		w.at("10.0.0.2:7").says(&mqttsn.Pingreq{ClientID: []byte(names[0])}).gets("PINGRESP")
		w.killed() // it has moved, and that was stored when there was time
		if w.g.clients.find(names[0]).source != w.at("10.0.0.2:7").source {
			t.Error("it is not where it woke")
		}
		w.pass(3 * time.Hour)
		if n := w.g.seats.Load(); n != 0 {
			t.Errorf("%d are immortal", n)
		}
	}
}

// TestFullDisk: what would have to be stored is refused with congestion, and
// all else goes on, sleeping and waking, too; and when there is room, all does.
func TestFullDisk(t *testing.T) {
	w := durableWorld(t, nil)
	app := w.keptApp()
	s := settled(w)
	app.says("cmd", "before", 1)
	w.syncs()
	s.says(&mqttsn.Puback{TopicID: 1, ID: 1}).gets("PUBLISH")
	w.disk.full = true
	for _, p := range []mqttsn.Packet{
		publishTo(2, 1, 5, "x"), publishTo(2, 2, 6, "x"), &mqttsn.Register{ID: 7, Name: []byte("more")},
		&mqttsn.Subscribe{QoS: 1, ID: 8, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("more")}},
	} {
		s.says(p)
		if len(s.got) != 1 || !strings.Contains(fmt.Sprint(s.got[0]), "Reason:congestion") {
			t.Errorf("%v is answered by %v", p, s.got)
		}
		s.got = nil
	}
	other := w.at("10.0.0.2:7").says(connectKept("new"))
	if a := last[*mqttsn.Connack](other); a.Reason != mqttsn.Congestion {
		t.Errorf("CONNECT is answered by %v", a)
	}
	s.says(publishTo(2, 0, 0, "QoS 0")).gets("")
	app.wants(t, "up=QoS 0")
	s.says(&mqttsn.Disconnect{Duration: time.Hour}).gets("DISCONNECT")
	w.killed()
	if c := w.g.clients.find("a"); c == nil || c.state != session.Asleep {
		t.Errorf("%+v is not asleep", c)
	}
	s.says(&mqttsn.Pingreq{}).gets("PINGRESP")
	w.disk.full = false
	s.says(publishTo(2, 1, 5, "x")).gets("PUBACK")
	other.says(connectKept("new")).gets("CONNACK")
}

// TestFailedDisk: when nobody can know what is stored, nothing is promised.
func TestFailedDisk(t *testing.T) {
	for _, p := range []mqttsn.Packet{
		connectKept("a"), publishTo(2, 1, 5, "x"), publishTo(2, 2, 6, "x"), &mqttsn.Pubrel{ID: 6}, &mqttsn.Register{ID: 7, Name: []byte("more")},
		&mqttsn.Subscribe{QoS: 1, ID: 8, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("more")}},
		&mqttsn.Unsubscribe{ID: 8, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("cmd")}},
		&mqttsn.Disconnect{Duration: time.Hour}, &mqttsn.Disconnect{}, &mqttsn.Willtopicupd{Topic: []byte("other")}, &mqttsn.Willmsgupd{},
	} {
		w := durableWorld(t, nil)
		s := settled(w)
		s.sends(p)
		for range 3 {
			w.disk.fails()
			w.settle()
		}
		s.gets("")
		other := w.at("10.0.0.2:7").sends(connectKept("b"))
		w.disk.fails()
		w.settle()
		other.gets("")
	}
}

// FuzzPlace: whatever is stored, it is read without harm, and what was written
// is read as it was.
func FuzzPlace(f *testing.F) {
	w := newWorld(f, nil)
	for _, address := range []string{"10.0.0.1:7", "[fe80::1%eth0]:7", "10.0.0.1:7/0a0b"} {
		s := &seat{source: w.at(address).source}
		b := w.g.appendPlace(nil, s)
		p, state, ok := w.g.readPlace(append(b, "state"...))
		if !ok || p.source != s.source || p.listener != w.config.Listener || string(state) != "state" {
			f.Errorf("%s became %+v and %q", address, p, state)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _, ok := w.g.readPlace(b)
		if ok && p.peer != (transport.Peer{}) && !p.peer.Addr.Addr().IsValid() && p.node != "" {
			t.Errorf("%x is %+v", b, p)
		}
	})
}
