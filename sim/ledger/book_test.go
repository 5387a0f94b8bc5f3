package ledger

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/sim/payload"
)

// TestRules goes through the rules one at a time, on both sides of each line.
func TestRules(t *testing.T) {
	ping, resp := &mqttsn.Pingreq{ClientID: []byte("d")}, &mqttsn.Pingresp{}
	for _, tt := range []struct {
		name string
		run  func(s *script)
		want []Rule
	}{
		{"a report comes", func(s *script) {
			r := s.sends(1)
			s.up(published(r, 1, 1)).arrives(r, r)
			s.b.Acknowledged(0, r, s.now)
		}, nil},
		{"one that was acknowledged does not", func(s *script) {
			r := s.sends(1)
			s.up(published(r, 1, 1))
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, []Rule{LostReport}},
		{"one that was given up does not", func(s *script) {
			r := s.sends(1)
			s.up(published(r, 1, 1))
			s.b.TimedOut(0, r, s.now)
			s.waits(time.Second)
		}, nil},
		{"QoS 2 comes twice", func(s *script) {
			r := s.sends(2)
			s.up(published(r, 2, 1), published(r, 2, 1)).arrives(r, r)
		}, []Rule{DoubledReport}},
		{"QoS 2 comes twice, and the radio has repeated it after PUBREL", func(s *script) {
			r := s.sends(2)
			s.up(published(r, 2, 1), &mqttsn.Pubrel{ID: 1}).down(&mqttsn.Pubcomp{ID: 1}).arrives(r)
			s.b.Acknowledged(0, r, s.now)
			s.up(published(r, 2, 1)).arrives(r)
		}, nil},
		{"QoS 2 comes again when it is over", func(s *script) {
			r := s.sends(2)
			s.up(published(r, 2, 1), &mqttsn.Pubrel{ID: 1}).down(&mqttsn.Pubcomp{ID: 1}).arrives(r)
			s.b.Acknowledged(0, r, s.now)
			s.arrives(r)
		}, []Rule{DoubledReport}},
		{"a MsgId that the gateway holds is used again", func(s *script) {
			r := s.sends(2)
			s.up(published(r, 2, 1)).arrives(r)
			s.b.Rebooted(0, s.now)
			r = s.sends(2)
			s.up(published(r, 2, 1), &mqttsn.Pubrel{ID: 1}).down(&mqttsn.Pubcomp{ID: 1})
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, nil},
		{"QoS 0 comes as often as it was carried", func(s *script) {
			r := s.sends(0)
			s.up(published(r, 0, 0), published(r, 0, 0)).arrives(r, r)
		}, nil},
		{"QoS 0 comes more often", func(s *script) {
			r := s.sends(0)
			s.up(published(r, 0, 0)).arrives(r, r)
		}, []Rule{DoubledReport}},
		{"QoS 0 is lost on a live connection", func(s *script) {
			s.connected(true)
			s.up(published(s.sends(0), 0, 0)).waits(time.Second)
		}, []Rule{LostReport}},
		{"QoS 0 is lost without one", func(s *script) { s.up(published(s.sends(0), 0, 0)).waits(time.Second) }, nil},
		{"QoS 0 is refused", func(s *script) {
			s.connected(true)
			s.up(published(s.sends(0), 0, 0)).down(&mqttsn.Puback{Reason: mqttsn.InvalidTopicID}).waits(time.Second)
		}, nil},
		{"never carried", func(s *script) { s.arrives(s.sends(1)) }, []Rule{StrangeReport}},
		{"never sent", func(s *script) { s.arrives(payload.Tag{Device: 100, Sequence: 1}) }, []Rule{StrangeReport}},
		{"overtaken", func(s *script) {
			one := s.sends(1)
			s.up(published(one, 1, 1))
			s.b.Acknowledged(0, one, s.now)
			two := s.sends(1)
			s.up(published(two, 1, 2)).arrives(two, one)
			s.b.Acknowledged(0, two, s.now)
		}, []Rule{Order}},
		{"sent before the acknowledgement", func(s *script) {
			one, two := s.sends(1), s.sends(1)
			s.up(published(one, 1, 1), published(two, 1, 2))
			s.b.Acknowledged(0, one, s.now)
			s.arrives(two, one)
		}, nil},
		{"acknowledged twice", func(s *script) {
			r := s.sends(1)
			s.up(published(r, 1, 1)).arrives(r)
			s.b.Acknowledged(0, r, s.now)
			s.b.Acknowledged(0, r, s.now)
		}, []Rule{Balance}},

		{"a datagram after the acknowledgement of sleep", func(s *script) { s.asleep().down(&mqttsn.Pingreq{}) }, []Rule{SleeperHeard}},
		{"a datagram after PINGRESP", func(s *script) { s.asleep().up(ping).down(resp, &mqttsn.Register{ID: 4}) }, []Rule{SleeperHeard}},
		{"a datagram before it", func(s *script) { s.asleep().up(ping).down(&mqttsn.Register{ID: 4}, resp) }, nil},
		{"PINGRESP for each of two PINGREQ", func(s *script) { s.asleep().up(ping, ping).down(resp, resp) }, nil},
		{"PINGRESP again for one", func(s *script) { s.asleep().up(ping).down(resp).waits(time.Second).down(resp) }, []Rule{SleeperHeard}},
		{"much later for one of two", func(s *script) {
			s.asleep().up(ping, ping).down(resp).waits(time.Minute).down(&mqttsn.Register{ID: 4})
		}, []Rule{SleeperHeard}},
		{"to everybody", func(s *script) { s.asleep().down(&mqttsn.Advertise{}, &mqttsn.Gwinfo{}) }, nil},
		{"to one that has CONNECTed", func(s *script) {
			s.asleep().up(&mqttsn.Connect{}).down(&mqttsn.Connack{}, &mqttsn.Pingreq{})
		}, nil},
		{"to one that has moved", func(s *script) {
			s.asleep()
			s.b.Moved(0, s.now)
			s.down(&mqttsn.Pingreq{})
		}, nil},

		{"PINGRESP before a command", func(s *script) {
			s.asleep().command(1)
			s.up(ping).down(resp)
		}, []Rule{EarlyPingresp, LostCommand}},
		{"PINGRESP before its PUBACK", func(s *script) {
			c := s.asleep().command(1)
			s.up(ping).down(published(c, 1, 1), resp)
		}, []Rule{EarlyPingresp}},
		{"PINGRESP after its PUBACK", func(s *script) {
			c := s.asleep().command(1)
			s.up(ping).down(published(c, 1, 1)).up(&mqttsn.Puback{ID: 1}).down(resp)
		}, nil},
		{"PINGRESP after three copies in vain", func(s *script) {
			c := s.asleep().command(1)
			s.up(ping).down(published(c, 1, 1), published(c, 1, 1), published(c, 1, 1), resp)
		}, nil},
		{"a command comes while it is awake", func(s *script) {
			s.asleep().up(ping).command(1)
			s.down(resp)
		}, nil},
		{"a command for a session that is over", func(s *script) {
			s.asleep().command(1)
			s.connected(true)
		}, nil},
		{"a command for a session that goes on", func(s *script) {
			s.connected(false).up(&mqttsn.Disconnect{Duration: time.Hour}).down(&mqttsn.Disconnect{}).command(1)
			s.up(&mqttsn.Connect{KeepAlive: 10 * time.Minute}).down(&mqttsn.Connack{}).waits(3 * time.Minute).up(ping).down(resp)
		}, []Rule{LostCommand}},
		{"a command without a subscription", func(s *script) {
			s.up(&mqttsn.Connect{}).down(&mqttsn.Connack{}).command(1)
			s.waits(time.Hour).up(ping).down(resp)
		}, nil},
		{"a command again after PUBREL", func(s *script) {
			c := s.connected(true).command(2)
			s.down(published(c, 2, 1)).up(&mqttsn.Pubrec{ID: 1}).down(&mqttsn.Pubrel{ID: 1})
			s.b.Delivered(0, c, s.now)
			s.down(published(c, 2, 1))
		}, []Rule{DoubledCmd}},
		{"a command again under another id", func(s *script) {
			c := s.connected(true).command(2)
			s.down(published(c, 2, 1), published(c, 2, 2))
			s.b.Delivered(0, c, s.now)
			s.b.Delivered(0, c, s.now)
		}, []Rule{DoubledCmd}},
		{"a command repeated by the radio", func(s *script) {
			c := s.connected(true).command(2)
			s.down(published(c, 2, 1), published(c, 2, 1))
			s.b.Delivered(0, c, s.now)
			s.b.Delivered(0, c, s.now)
		}, nil},

		{"a will in time", func(s *script) {
			s.connected(true).waits(90 * time.Second)
			s.b.WillPublished(0, s.now)
			s.waits(time.Hour)
		}, nil},
		{"a will too early", func(s *script) {
			s.connected(true).waits(50 * time.Second)
			s.b.WillPublished(0, s.now)
		}, []Rule{FalseWill}},
		{"a sleeper's will by its keep alive", func(s *script) {
			s.asleep().waits(30 * time.Minute)
			s.b.WillPublished(0, s.now)
		}, []Rule{FalseWill}},
		{"a will after a request in vain", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}).waits(50 * time.Second)
			s.b.WillPublished(0, s.now)
		}, nil},
		{"a will after goodbye", func(s *script) {
			s.connected(true).up(&mqttsn.Disconnect{}).down(&mqttsn.Disconnect{}).waits(2 * time.Minute)
			s.b.WillPublished(0, s.now)
		}, []Rule{FalseWill}},
		{"a will twice", func(s *script) {
			s.connected(true).waits(90 * time.Second)
			s.b.WillPublished(0, s.now)
			s.b.WillPublished(0, s.now)
		}, []Rule{FalseWill}},
		{"a will that crosses a sign of life", func(s *script) {
			s.connected(true).waits(90 * time.Second).up(&mqttsn.Pingreq{}).down(resp)
			s.b.WillPublished(0, s.now)
		}, nil},
		{"a will after a goodbye that may not have been heard", func(s *script) {
			s.connected(true).up(&mqttsn.Disconnect{}, &mqttsn.Disconnect{Duration: 9 * time.Second}).down(&mqttsn.Disconnect{}).waits(time.Minute)
			s.b.WillPublished(0, s.now)
		}, nil},
		{"another flush for another PINGREQ", func(s *script) {
			s.asleep().up(ping, ping).down(resp, &mqttsn.Register{ID: 4}).waits(8 * time.Second).down(&mqttsn.Register{ID: 4})
		}, nil},
		{"another flush that is not seen to begin", func(s *script) {
			s.b.cfg.Exact = false
			s.asleep().up(ping, ping).down(resp).waits(8 * time.Second).down(&mqttsn.Register{ID: 4})
		}, nil},
		{"a command for a clean session that is not resumed", func(s *script) {
			s.asleep().command(1)
			s.up(&mqttsn.Connect{KeepAlive: 10 * time.Minute}).down(&mqttsn.Connack{}).waits(3 * time.Minute).up(ping).down(resp)
		}, nil},
		{"a command sent at QoS 0", func(s *script) {
			c := s.asleep().command(1)
			s.up(ping).down(published(c, 0, 0), resp)
		}, nil},
		{"a command under another id on another connection", func(s *script) {
			c := s.connected(false).command(2)
			s.down(published(c, 2, 1)).up(&mqttsn.Connect{}).down(&mqttsn.Connack{}, published(c, 2, 2))
			s.b.Delivered(0, c, s.now)
			s.b.Delivered(0, c, s.now)
		}, nil},
		{"a subscription that may be another device's", func(s *script) {
			s.up(&mqttsn.Connect{}).down(&mqttsn.Connack{})
			s.b.Moved(0, s.now)
			s.up(&mqttsn.Subscribe{ID: 1}).down(&mqttsn.Suback{ID: 1})
			if s.b.Subscribed(0) {
				s.t.Error("it counts as subscribed")
			}
		}, nil},
		{"no will", func(s *script) { s.connected(true).waits(4 * time.Minute) }, []Rule{LostWill}},
		{"no will yet", func(s *script) { s.connected(true).waits(2 * time.Minute) }, nil},
		{"no will after goodbye", func(s *script) {
			s.connected(true).up(&mqttsn.Disconnect{}).down(&mqttsn.Disconnect{}).waits(time.Hour)
		}, nil},
		{"no will after a restart", func(s *script) {
			s.connected(true)
			s.b.Restarted(s.now)
			s.waits(time.Hour)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.run(s)
			s.breaks(tt.want...)
		})
	}
}

// TestRestart is of a gateway that forgets and one that does not.
func TestRestart(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		s := newScript(t)
		s.b.cfg.Forgets = forgets
		r := s.connected(false).sends(1)
		s.up(published(r, 1, 1))
		s.b.Acknowledged(0, r, s.now)
		s.command(1)
		s.b.Restarted(s.now)
		s.waits(time.Minute)
		c, want := s.b.Counts(), Counts{Uplink: Uplink{Missing: 1}, Downlink: Downlink{Missing: 1}}
		if forgets {
			want = Counts{Uplink: Uplink{Forgiven: 1}, Downlink: Downlink{Forgiven: 1}}
		}
		if c.Uplink.Missing != want.Uplink.Missing || c.Downlink.Missing != want.Downlink.Missing ||
			c.Uplink.Forgiven != want.Uplink.Forgiven || c.Downlink.Forgiven != want.Downlink.Forgiven {
			t.Errorf("forgets is %v: %+v", forgets, c)
		}
		if forgets {
			s.breaks()
		} else {
			s.breaks(LostReport)
		}
	}
}

func TestLate(t *testing.T) {
	s := newScript(t)
	all := s.connected(true).b.PublishAll(1, time.Minute, s.now)
	s.b.Accepted(all, s.now)
	one := s.command(1)
	s.waits(59 * time.Second)
	if s.b.Delivered(0, one, s.now) {
		t.Error("late before the deadline")
	}
	if s.waits(2 * time.Second); !s.b.Delivered(0, all, s.now) {
		t.Error("not late after the deadline")
	}
	if d := s.b.Counts().Downlink; d != (Downlink{Published: 2, Accepted: 2, Delivered: 2, Late: 1}) {
		t.Errorf("%+v", d)
	}
	s.breaks()
}

func TestTrace(t *testing.T) {
	s := newScript(t)
	r := s.sends(1)
	s.b.Lost(0, s.now, true, published(r, 1, 7), FateLost)
	p := published(r, 1, 7)
	p.DUP = true
	s.waits(10300 * time.Millisecond).up(p).down(&mqttsn.Puback{ID: 7, TopicID: 3, Reason: mqttsn.Congestion})
	s.up(&mqttsn.Disconnect{Duration: time.Minute}).down(&mqttsn.Disconnect{}, &mqttsn.Pingreq{})
	want := `+1.000s report qos 1 seq 1
+1.000s up   PUBLISH id 7 topic 3 qos 1 seq 1 lost
+12.300s up   PUBLISH id 7 topic 3 qos 1 dup seq 1
+12.300s down PUBACK id 7 topic 3 congestion
+13.300s up   DISCONNECT for 60s
+13.300s down DISCONNECT
+13.300s down PINGREQ`
	all, _ := s.b.Violations()
	if got := strings.Join(all[0].Trace, "\n"); got != want {
		t.Errorf("trace is\n%s\nwant\n%s", got, want)
	}
	if v := all[0]; v.Device != 5 || v.Group != "g" || v.At != 13300*time.Millisecond {
		t.Errorf("violation is %+v", v)
	}
	for range 100 {
		s.up(&mqttsn.Pingreq{})
	}
	if n := len(s.b.Trace(0)); n != 24 {
		t.Errorf("%d events are kept, want 24", n)
	}
}

// TestFirstHundred counts all, and keeps some.
func TestFirstHundred(t *testing.T) {
	s := newScript(t)
	for range 250 {
		s.arrives(payload.Tag{Device: 100, Sequence: 9})
	}
	if first, all := s.b.Violations(); len(first) != 100 || all != 250 || s.b.Broken()[StrangeReport] != 250 {
		t.Errorf("%d of %d violations, %v", len(first), all, s.b.Broken())
	}
}

// TestMemory has 100,000 devices, each with a report in flight and a command
// waiting.
func TestMemory(t *testing.T) {
	const n, most = 100_000, 300
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := New(Config{Devices: n, Streams: 1, Trace: -1}, begin)
	for i := range int32(n) {
		b.Up(i, begin+1, &mqttsn.Connect{CleanSession: true})
		b.Down(i, begin+1, &mqttsn.Connack{})
		b.Up(i, begin+1, &mqttsn.Subscribe{QoS: 1, ID: 1})
		b.Down(i, begin+1, &mqttsn.Suback{QoS: 1, ID: 1})
		b.Send(i, 0, 1, begin+2)
	}
	b.Accepted(b.PublishAll(1, 0, begin+4), begin+4)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / n; each > most {
		t.Errorf("a device takes %d octets, want at most %d", each, most)
	} else {
		t.Log(fmt.Sprint(each, " octets each"))
	}
	if missing := b.Counts().Downlink.Missing; missing != n {
		t.Errorf("%d commands are missing, want %d", missing, n)
	}
}
