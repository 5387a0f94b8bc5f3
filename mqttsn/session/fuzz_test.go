package session

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// FuzzSession states the session's contract: whatever datagrams, answers,
// messages and moments come in whatever order, it does not panic; what it
// sends are packets; it holds no more than its bounds; nothing is sent to a
// sleeper of its own accord; and when it is over, no timer is left.
//
// Each input octet is an event; those that are datagrams take their length and
// octets from what follows.
func FuzzSession(f *testing.F) {
	frame := func(packets ...mqttsn.Packet) (b []byte) {
		for _, k := range packets {
			n := len(b)
			b = append(b, 0, 0)
			b, _ = mqttsn.Append(b, mqttsn.V12, k)
			b[n+1] = byte(len(b) - n - 2)
			b = append(b, 1, 1, 3)
		}
		return b
	}
	f.Add(frame(connect(time.Minute), subscribe(named("#"), 2, 1), sleepFor(time.Hour), wakeup, puback(1, 1, 0), bye))
	f.Add(frame(connectWill(true), &mqttsn.Willtopic{QoS: 1, Topic: []byte("w")}, &mqttsn.Willmsg{}, register("a/b", 1), publish(normal(1), 2, 3, "x"), &mqttsn.Pubrel{ID: 3}))
	f.Add(frame(connectClean(0), publish(predefined(2), 1, 1, "x"), regack(1, 1, 3), &mqttsn.Pubrec{ID: 2}, &mqttsn.Pubcomp{ID: 2}, &mqttsn.Willtopicupd{Topic: []byte("w")}, &mqttsn.Willmsgupd{}))
	f.Fuzz(func(t *testing.T, in []byte) {
		cfg := DefaultConfig()
		cfg.Predefined = map[uint16]string{2: "alarm", 5: "{clientid}/t"}
		cfg.QoSMinusOne = true
		s, b, out := New(mqttsn.V12, &cfg), newBroker(), new(Actions)
		now := clock.Time(time.Hour)
		quiet := false
		perform := func(spontaneous bool) {
			for i := range out.Ask {
				b.do(&out.Ask[i], s.ClientID())
			}
			for d := range out.Datagrams {
				k, err := mqttsn.Decode(mqttsn.V12, d)
				if err != nil {
					t.Fatalf("sent %x: %v", d, err)
				}
				if quiet && spontaneous {
					t.Fatalf("sent %v to a sleeper", k)
				}
				quiet = s.State() == Asleep && (k.Type() == mqttsn.TypePingresp || k.Type() == mqttsn.TypeDisconnect)
			}
			if out.Gone != 0 && (s.Deadline() != 0 || s.State() != Disconnected || s.Ready()) {
				t.Fatalf("%v and yet %v until %v", out.Gone, s.State(), s.Deadline())
			}
			if s.work != nil && len(s.promises) > maxPromises+2 || len(s.topics) > cfg.TopicIDs {
				t.Fatalf("%+v, %d topics", s.work, len(s.topics))
			}
			out.Reset()
		}
		for len(in) > 0 {
			event := in[0]
			in = in[1:]
			switch event % 8 {
			case 0: // a datagram
				n := 0
				if len(in) > 0 {
					n = min(int(in[0]), len(in)-1)
					in = in[1:]
				}
				if k, err := mqttsn.Decode(mqttsn.V12, in[:n]); err == nil {
					quiet = false
					s.Handle(now, k, out)
				}
				in = in[n:]
				perform(false)
				continue
			case 1, 2: // an answer
				if a, ok := b.answer(); ok {
					s.Complete(now, a, out)
				}
			case 3: // the gateway pulls
				for s.Ready() {
					d, ok := b.next()
					if !ok {
						s.Drained(now, out)
						break
					}
					s.Deliver(now, d, out)
					perform(true)
				}
			case 4: // a message
				b.enqueue([]string{"ab", "a/b", "alarm", "x/y"}[event>>3%4], mqttsn.QoS(event>>5%3), "m", false)
			case 5: // time
				now = now.Add(time.Duration(event>>3) * time.Second)
				s.Tick(now, out)
			case 6: // the broker's mood
				for kind := AskOpen; kind <= AskDetach; kind++ {
					b.result[kind] = Result(event >> 3 % 4)
				}
			case 7: // the end
				if event>>3 == 1 {
					s.End(now, Reason(1+event>>4%8), out)
				}
			}
			perform(true)
		}
	})
}

// FuzzState states what becomes of a stored state, whatever is in it: it is
// discarded whole, or every id in it can be used and is stored again.
func FuzzState(f *testing.F) {
	f.Add([]byte{1, 0, 0, 14, 16, 0, 0, 1, 0, 1, 'a', 1, 0, 5, 0, 0, 2, 'a', 'b', 0, 2, 'a', 'b', 0x80, 0, 3, 0, 1, 'b'})
	f.Add([]byte{2, 2, 0, 0, 0, 60, 0, 0, 14, 16, 0, 0, 20, 0, 0x40, 0, 1, 0, 1, 'a', 1, 0, 5, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		cfg := DefaultConfig()
		cfg.Predefined = map[uint16]string{5: "{clientid}/t"}
		if r, ok := Resume(mqttsn.V12, &cfg, 1, Kept{ClientID: "dev1", State: in}, 0); ok && r.State() == Asleep && r.Deadline() == 0 {
			t.Error("a sleeper that is immortal")
		}
		s, out := New(mqttsn.V12, &cfg), new(Actions)
		s.rouse(out)
		s.connect(1, "dev1", new(opening))
		s.open(1, out)
		s.Complete(1, Answer{Kind: AskOpen, Tag: s.tag, Present: true, State: in}, out)
		s.Complete(1, Answer{Kind: AskSave, Tag: s.tag}, out)
		for _, known := range s.topics {
			s.Handle(1, publish(mqttsn.Topic{Kind: known.kind, ID: known.id}, 0, 0, "x"), out)
		}
		again := New(mqttsn.V12, &cfg)
		again.clientID = "dev1"
		if !again.restore(s.appendState(nil, 1, 0)) || len(again.topics) != len(s.topics) {
			t.Errorf("%v became %v", s.topics, again.topics)
		}
	})
}
