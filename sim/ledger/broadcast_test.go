package ledger

import (
	"testing"

	"dormouse/mqttsn"
	"dormouse/sim/payload"
)

// TestBroadcastCountsOnce: whatever becomes of what is owed to a device, a
// broadcast counts once for it, as do those that were not owed and come.
func TestBroadcastCountsOnce(t *testing.T) {
	// forgotten is a device whose session has begun anew, and that has been
	// sent something else since.
	forgotten := func(s *script) { s.connected(true).b.Delivered(0, s.command(1), s.now) }
	for _, tt := range []struct {
		name   string
		qos    mqttsn.QoS
		before func(s *script)
		after  func(s *script, all payload.Tag)
		want   Downlink
	}{
		{"owed, and it comes", 1, func(s *script) { s.connected(true) },
			func(*script, payload.Tag) {}, Downlink{Published: 1, Accepted: 1, Delivered: 1}},
		{"not subscribed, and it comes", 1, func(*script) {},
			func(*script, payload.Tag) {}, Downlink{Published: 1, Accepted: 1, Delivered: 1}},
		{"forgiven, and it comes after all", 1, func(s *script) { s.connected(true) },
			func(s *script, _ payload.Tag) { forgotten(s) },
			Downlink{Published: 1, Accepted: 1, Delivered: 1, Forgiven: 1}},
		{"the same at QoS 2", 2, func(s *script) { s.connected(true) },
			func(s *script, all payload.Tag) {
				forgotten(s)
				s.down(published(all, 2, 7))
			},
			Downlink{Published: 1, Accepted: 1, Delivered: 1, Forgiven: 1}},
		{"not subscribed, at QoS 2", 2, func(*script) {},
			func(s *script, all payload.Tag) { s.down(published(all, 2, 7)) },
			Downlink{Published: 1, Accepted: 1, Delivered: 1}},
		{"others came since", 1, func(s *script) { s.connected(true) },
			func(s *script, _ payload.Tag) {
				forgotten(s)
				s.b.Unsubscribed(0, s.now)
				s.b.Accepted(s.b.PublishAll(1, 0, s.now), s.now) // for nobody
			},
			Downlink{Published: 1, Accepted: 1, Delivered: 1, Forgiven: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t)
			tt.before(s)
			all := s.b.PublishAll(tt.qos, 0, s.now)
			s.b.Accepted(all, s.now)
			tt.after(s, all)
			s.b.Delivered(0, all, s.now)
			s.b.Delivered(0, all, s.now)
			got := s.b.Counts().Downlink
			got.Duplicates--
			others := uint64(s.b.devices[0].supplied.last)
			got.Published -= others
			got.Accepted -= others
			got.Delivered -= others
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
