package ledger

import (
	"slices"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/sim/payload"
)

// A script is a book with one device, told things a second apart.
type script struct {
	t   *testing.T
	b   *Book
	now clock.Time
}

func newScript(t *testing.T) *script {
	return &script{t, New(Config{Group: "g", Devices: 2, First: 100, Index: 5, Streams: 2, Exact: true, Slack: 100 * time.Millisecond}, begin), begin}
}

func (s *script) waits(d time.Duration) *script { s.now = s.now.Add(d); return s }

func (s *script) up(all ...mqttsn.Packet) *script {
	for _, p := range all {
		s.waits(time.Second)
		s.b.Up(0, s.now, p)
	}
	return s
}

func (s *script) down(all ...mqttsn.Packet) *script {
	for _, p := range all {
		s.b.Down(0, s.now, p)
	}
	return s
}

func (s *script) sends(q mqttsn.QoS) payload.Tag {
	s.waits(time.Second)
	return s.b.Send(0, 0, q, s.now)
}

func (s *script) arrives(all ...payload.Tag) *script {
	for _, t := range all {
		s.b.Received(t, s.now)
	}
	return s
}

// command publishes one, which is accepted half a second later.
func (s *script) command(q mqttsn.QoS) payload.Tag {
	t := s.b.Publish(0, q, time.Minute, s.now)
	s.waits(500 * time.Millisecond)
	s.b.Accepted(t, s.now)
	return t
}

// breaks closes the book and names the rules that are broken, one each.
func (s *script) breaks(want ...Rule) {
	s.t.Helper()
	s.b.Close(s.now)
	all, n := s.b.Violations()
	var got []Rule
	for _, v := range all {
		got = append(got, v.Rule)
	}
	if !slices.Equal(got, want) || int(n) != len(want) {
		s.t.Errorf("broken is %v, want %v: %+v", got, want, all)
	}
}

func published(t payload.Tag, q mqttsn.QoS, id uint16) *mqttsn.Publish {
	p := &mqttsn.Publish{QoS: q, ID: id, Topic: mqttsn.Topic{ID: 3}, Payload: payload.Config{}.Append(nil, payload.Reading{Tag: t})}
	return p
}

func (s *script) connected(clean bool) *script {
	s.up(&mqttsn.Connect{Will: true, CleanSession: clean, KeepAlive: time.Minute}).down(&mqttsn.Willtopicreq{})
	s.up(&mqttsn.Willtopic{Topic: []byte("w")}).down(&mqttsn.Willmsgreq{})
	s.up(&mqttsn.Willmsg{Payload: []byte("x")}).down(&mqttsn.Connack{})
	return s.up(&mqttsn.Subscribe{QoS: 2, ID: 1}).down(&mqttsn.Suback{QoS: 2, TopicID: 9, ID: 1})
}

func (s *script) asleep() *script {
	return s.connected(true).up(&mqttsn.Disconnect{Duration: time.Hour}).down(&mqttsn.Disconnect{})
}
