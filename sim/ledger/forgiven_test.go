package ledger

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/sim/payload"
)

// TestForgiven goes along the lines between what a gateway is held to and what
// it may not be able to help, on both sides of each.
func TestForgiven(t *testing.T) {
	ping, resp := &mqttsn.Pingreq{ClientID: []byte("d")}, &mqttsn.Pingresp{}
	connect := func(clean bool) *mqttsn.Connect {
		return &mqttsn.Connect{CleanSession: clean, KeepAlive: 10 * time.Minute}
	}
	lost := func(s *script, q mqttsn.QoS) {
		r := s.sends(q)
		s.up(published(r, q, 1))
		s.b.Acknowledged(0, r, s.now)
		s.waits(time.Second)
	}
	passedOver := func(s *script) payload.Tag {
		c := s.connected(false).command(1)
		s.waits(3 * time.Minute).up(ping).down(resp)
		return c
	}
	for _, tt := range []struct {
		name string
		run  func(s *script)
		want []Rule
	}{
		{"QoS 0 from a device that has left a request unanswered", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}).waits(2 * time.Second)
			lost(s, 0)
		}, nil},
		{"that answered it at once", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}).up(&mqttsn.Regack{ID: 4}).waits(2 * time.Second)
			lost(s, 0)
		}, []Rule{LostReport}},
		{"that answered the second copy", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}, &mqttsn.Register{ID: 4}).up(&mqttsn.Regack{ID: 4})
			lost(s, 0)
		}, nil},
		{"long ago", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}, &mqttsn.Register{ID: 4}).up(&mqttsn.Regack{ID: 4})
			for range 5 {
				s.waits(29 * time.Second).up(ping).down(resp)
			}
			lost(s, 0)
		}, []Rule{LostReport}},

		{"QoS 2 in a session that somebody else may have used", func(s *script) {
			s.connected(false).b.Moved(0, s.now)
			s.up(connect(false)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, nil},
		{"QoS 1 in that", func(s *script) {
			s.connected(false).b.Moved(0, s.now)
			s.up(connect(false)).down(&mqttsn.Connack{})
			lost(s, 1)
		}, []Rule{LostReport}},
		{"QoS 2 in a clean one", func(s *script) {
			s.connected(false).b.Moved(0, s.now)
			s.up(connect(true)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, []Rule{LostReport}},

		{"a command passed over by a gateway that is killed, and sends it then", func(s *script) {
			c := passedOver(s)
			s.b.Restarted(s.now)
			s.up(connect(false)).down(&mqttsn.Connack{}, published(c, 1, 1))
		}, nil},
		{"by one that is not", func(s *script) {
			passedOver(s)
			s.up(connect(false)).down(&mqttsn.Connack{})
		}, []Rule{LostCommand}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.run(s)
			s.breaks(tt.want...)
		})
	}
}
