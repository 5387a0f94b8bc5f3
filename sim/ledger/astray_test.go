package ledger

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/sim/payload"
)

// TestAstray: a command that comes to another device than its own is delivered
// to neither, and a report on another device's topic is no better; both are the
// gateway's fault but of a device that has had more than one address.
func TestAstray(t *testing.T) {
	misfiled := func(own bool) func(s *script, other payload.Tag) {
		return func(s *script, _ payload.Tag) {
			r := s.sends(1)
			s.up(published(r, 1, 1)).arrives(r)
			s.b.Acknowledged(0, r, s.now)
			s.b.Misfiled(r, "elsewhere", own, s.now)
		}
	}
	sent := func(s *script, other payload.Tag) { s.down(published(other, 0, 0)) }
	move := func(s *script) {
		s.b.Moved(0, s.now)
		s.connected(true)
	}
	for _, tt := range []struct {
		name   string
		before func(s *script)
		run    func(s *script, other payload.Tag)
		want   []Rule
	}{
		{"a command", nil, sent, []Rule{StrayCommand}},
		{"to one that has moved", move, sent, nil},
		{"after a restart", func(s *script) { s.b.Restarted(s.now) }, sent, nil},
		{"after goodbye", func(s *script) { s.up(&mqttsn.Disconnect{}).down(&mqttsn.Disconnect{}) }, sent, nil},
		{"of another run", nil, func(s *script, other payload.Tag) {
			other.Sequence++
			sent(s, other)
		}, nil},
		{"of another group", nil, func(s *script, other payload.Tag) {
			other.Device = 7000
			sent(s, other)
		}, nil},
		{"a broadcast to another group", nil, func(s *script, _ payload.Tag) {
			s.b.PublishAll(1, 0, s.now)
			sent(s, payload.Tag{Device: 3, Stream: payload.Broadcast, Sequence: 1})
		}, nil},
		{"arrives", nil, func(s *script, other payload.Tag) {
			s.b.Delivered(0, other, s.now)
			want := Downlink{Published: 2, Accepted: 2, Missing: 1, Astray: 1}
			if d := s.b.Counts().Downlink; d != want {
				s.t.Errorf("%+v, want %+v", d, want)
			}
		}, nil},
		{"a report on another's topic", nil, misfiled(false), []Rule{MisfiledReport}},
		{"on another of its own", nil, misfiled(true), nil},
		{"on another's, of one that has moved", move, misfiled(false), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			s.connected(true)
			if tt.before != nil {
				tt.before(s)
			}
			own := s.command(1) // has the sequence that the other's has
			other := s.b.Publish(1, 1, time.Minute, s.now)
			s.b.Accepted(other, s.now)
			if other.Sequence != own.Sequence {
				t.Fatalf("%+v and %+v", own, other)
			}
			tt.run(s, other)
			s.breaks(tt.want...)
		})
	}
}
