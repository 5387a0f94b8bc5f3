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
		if !s.b.Subscribed(0) && s.b.devices[0].heard == 0 {
			s.connected(false)
		}
		c := s.command(1)
		s.waits(3 * time.Minute).up(ping).down(resp)
		return c
	}
	by := func(id uint16, p *mqttsn.Publish) *mqttsn.Publish {
		p.Topic.ID = id
		return p
	}
	// A device that has moved is taken for another there, and the gateway does
	// not know that its confirmation is for the message that it sends to both.
	confirmedElsewhere := func(s *script) payload.Tag {
		s.connected(true).b.Moved(0, s.now)
		c := s.command(2)
		s.down(published(c, 2, 1)).b.Delivered(0, c, s.now)
		s.up(&mqttsn.Pubrec{ID: 1}).down(&mqttsn.Pubrel{ID: 1})
		return c
	}
	// The gateway holds MsgId 1 of a report at QoS 2, and the device has forgotten it.
	holding := func(s *script) *script {
		r := s.connected(false).sends(2)
		s.up(published(r, 2, 1)).arrives(r).b.Rebooted(0, s.now)
		return s
	}
	// Late copies have the gateway hold MsgIds from 1 to n for good.
	ghosts := func(s *script, n uint16) *script {
		s.connected(false)
		for id := uint16(1); id <= n; id++ {
			r := s.sends(2)
			s.up(published(r, 2, id)).arrives(r).up(&mqttsn.Pubrel{ID: id}).down(&mqttsn.Pubcomp{ID: id})
			s.b.Acknowledged(0, r, s.now)
			s.up(published(r, 2, id)).arrives(r)
		}
		s.b.Rebooted(0, s.now)
		return s
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

		{"QoS 0 by the id of what the device has subscribed to", func(s *script) {
			s.connected(true)
			s.up(by(9, published(s.sends(0), 0, 0))).waits(time.Second)
		}, nil},
		{"QoS 1 by that", func(s *script) {
			r := s.connected(true).sends(1)
			s.up(by(9, published(r, 1, 7)))
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, nil},
		{"by that, which it has been given for its reports since", func(s *script) {
			s.connected(true).up(&mqttsn.Register{ID: 2}).down(&mqttsn.Regack{ID: 2, TopicID: 9})
			s.up(by(9, published(s.sends(0), 0, 0))).waits(time.Second)
		}, []Rule{LostReport}},
		{"by that, refused for its reports since", func(s *script) {
			s.connected(true).up(&mqttsn.Register{ID: 2}).down(&mqttsn.Regack{ID: 2, TopicID: 9, Reason: mqttsn.Congestion})
			s.up(by(9, published(s.sends(0), 0, 0))).waits(time.Second)
		}, nil},
		{"by a predefined id of that number", func(s *script) {
			p := published(s.connected(true).sends(0), 0, 0)
			p.Topic = mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: 9}
			s.up(p).waits(time.Second)
		}, []Rule{LostReport}},

		{"QoS 2 after a clean session was asked for, and another, late, was granted", func(s *script) {
			holding(s).up(connect(true), connect(false)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, nil},
		{"and the clean one was granted", func(s *script) {
			holding(s).up(connect(false), connect(true)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, []Rule{LostReport}},
		{"QoS 2 by a MsgId held for so long that it is not known here any more", func(s *script) {
			ghosts(s, maxOpen+1).up(connect(false)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, nil},
		{"that is still known", func(s *script) {
			ghosts(s, maxOpen).up(connect(false)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, nil},
		{"that is not held", func(s *script) {
			ghosts(s, maxOpen).up(&mqttsn.Pubrel{ID: 1}).down(&mqttsn.Pubcomp{ID: 1}).up(connect(false)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, []Rule{LostReport}},
		{"in a clean session", func(s *script) {
			ghosts(s, maxOpen+1).up(connect(true)).down(&mqttsn.Connack{})
			lost(s, 2)
		}, []Rule{LostReport}},
		{"QoS 0 that comes from an address the device no longer has", func(s *script) {
			s.connected(true).up(published(s.sends(0), 0, 0)).b.Moved(0, s.now)
			s.waits(time.Second)
		}, nil},
		{"that came before the device lost it", func(s *script) {
			s.connected(true).up(published(s.sends(0), 0, 0)).waits(time.Second).b.Moved(0, s.now)
		}, []Rule{LostReport}},

		{"a report that is refused, to a client that does not look", func(s *script) {
			r := s.connected(true).sends(1)
			s.up(published(r, 1, 7)).down(&mqttsn.Puback{ID: 7, Reason: mqttsn.InvalidTopicID})
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, nil},
		{"that is refused, and taken when it comes again", func(s *script) {
			r := s.connected(true).sends(1)
			s.up(published(r, 1, 7)).down(&mqttsn.Puback{ID: 7, Reason: mqttsn.InvalidTopicID})
			s.up(published(r, 1, 8)).down(&mqttsn.Puback{ID: 8})
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, []Rule{LostReport}},
		{"while another is refused", func(s *script) {
			r := s.connected(true).sends(2)
			s.up(published(r, 2, 7)).down(&mqttsn.Puback{ID: 6, Reason: mqttsn.InvalidTopicID})
			s.b.Acknowledged(0, r, s.now)
			s.waits(time.Second)
		}, []Rule{LostReport}},

		{"a will that the gateway forgot, of a device that does not say it again", func(s *script) {
			s.b.cfg.Forgets = true
			s.connected(false).b.Restarted(s.now)
			s.up(&mqttsn.Connect{KeepAlive: time.Minute}).down(&mqttsn.Connack{}).waits(time.Hour)
		}, nil},
		{"that it kept", func(s *script) {
			s.connected(false).b.Restarted(s.now)
			s.up(&mqttsn.Connect{KeepAlive: time.Minute}).down(&mqttsn.Connack{}).waits(time.Hour)
		}, []Rule{LostWill}},

		{"PINGRESP before a command, long after a PINGREQ that was not answered", func(s *script) {
			s.asleep().up(ping).waits(15 * time.Second).up(ping).waits(15 * time.Second).up(ping).down(resp)
			for range 4 {
				s.waits(29 * time.Second).up(ping).down(resp)
			}
			s.command(1)
			s.waits(29 * time.Second).up(ping).down(resp)
		}, []Rule{EarlyPingresp, LostCommand}},

		{"a will twice, after a request in vain", func(s *script) {
			s.connected(true).down(&mqttsn.Register{ID: 4}).waits(50 * time.Second)
			s.b.WillPublished(0, s.now)
			s.b.WillPublished(0, s.now)
		}, []Rule{FalseWill}},
		{"a will again, of one that was taken back", func(s *script) {
			s.connected(true).waits(90 * time.Second)
			s.b.WillPublished(0, s.now)
			s.up(ping).down(resp).waits(90 * time.Second)
			s.b.WillPublished(0, s.now)
		}, nil},

		{"a command that is published elsewhere than a late copy of SUBSCRIBE says", func(s *script) {
			s.connected(false).up(&mqttsn.Subscribe{ID: 7}).b.Unsubscribed(0, s.now)
			s.up(&mqttsn.Subscribe{ID: 7}).down(&mqttsn.Suback{ID: 7})
			passedOver(s)
		}, nil},
		{"than one says that comes after", func(s *script) {
			s.connected(false).up(&mqttsn.Subscribe{ID: 7}).b.Unsubscribed(0, s.now)
			s.up(&mqttsn.Subscribe{ID: 8, QoS: 1}).down(&mqttsn.Suback{ID: 8, QoS: 1})
			passedOver(s)
		}, []Rule{LostCommand}},

		{"a command passed over by a gateway that is killed, and sends it then", func(s *script) {
			c := passedOver(s)
			s.b.Restarted(s.now)
			s.up(connect(false)).down(&mqttsn.Connack{}, published(c, 1, 1))
		}, nil},
		{"by one that is not", func(s *script) {
			passedOver(s)
			s.up(connect(false)).down(&mqttsn.Connack{})
		}, []Rule{LostCommand}},
		{"by one that is not, before the session ends", func(s *script) {
			passedOver(s)
			s.up(connect(true)).down(&mqttsn.Connack{})
		}, []Rule{LostCommand}},
		{"a command that is sent to an old address again while a clean session is asked for", func(s *script) {
			c := confirmedElsewhere(s)
			s.up(connect(true)).down(published(c, 2, 1))
		}, nil},
		{"after there is one", func(s *script) {
			c := confirmedElsewhere(s)
			s.up(connect(true)).down(&mqttsn.Connack{}, published(c, 2, 1))
		}, []Rule{DoubledCmd}},
		{"a command by a name that the device never confirmed", func(s *script) {
			register := &mqttsn.Register{ID: 4}
			s.connected(false).down(register, register, register).up(&mqttsn.Regack{ID: 4})
			s.waits(time.Minute)
			passedOver(s)
		}, nil},
		{"that it has subscribed to again", func(s *script) {
			register := &mqttsn.Register{ID: 4}
			s.connected(false).down(register, register, register).up(&mqttsn.Regack{ID: 4})
			s.up(&mqttsn.Subscribe{QoS: 2, ID: 9}).down(&mqttsn.Suback{QoS: 2, ID: 9})
			s.waits(time.Minute)
			passedOver(s)
		}, []Rule{LostCommand}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.run(s)
			s.breaks(tt.want...)
		})
	}
}
