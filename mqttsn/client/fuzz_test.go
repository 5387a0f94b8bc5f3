package client

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// manners are those of all firmwares, and of one that talks in its sleep.
func manners() []Config {
	talks := testConfig
	talks.Quirks = SleepTalk
	return []Config{testConfig, talks, Emcute(), Paho(), Zephyr()}
}

// FuzzClient states what a Client promises whatever its owner asks for and
// whatever comes from the network, and whatever its manners: it does not panic,
// all it sends can be read, what it sends is what it says, it remembers no more
// than it may, and nothing comes out of it or runs in it while it is
// disconnected, or asleep and not talking. The script is a sequence of calls,
// a length and an argument each.
func FuzzClient(f *testing.F) {
	f.Add(byte(0), []byte("\x00\x00"+"\x03\x03\x05\x00"+"\x00\x01"+"\x07\x07\x0b\x00\x01\x00\x01\x00"+"\x00\x05"+"\x02\x02\x18"+"\x00\x06"+"\x02\x02\x17"))
	f.Add(byte(0), []byte("\x00\x08"+"\x02\x02\x06"+"\x02\x02\x08"+"\x03\x03\x05\x00"+"\x00\x09"+"\x00\x03"+"\x08\x08\x13\x00\x00\x07\x00\x01\x00"))
	for i := range manners() { // connect, sleep, publish, wake, disconnect
		f.Add(byte(i), []byte("\x00\x00"+"\x03\x03\x05\x00"+"\x00\x05"+"\x02\x02\x18"+"\x00\x02"+"\x04\x04\x0f\x00\x01"+"\x00\x06"+"\x02\x02\x17"+"\x00\x07"+"\x02\x02\x18"))
	}
	f.Fuzz(func(t *testing.T, manner byte, script []byte) {
		cfg := manners()[int(manner)%len(manners())]
		c := New(mqttsn.V12, &cfg)
		now := clock.Time(time.Hour)
		var out Actions
		requests := [...]func(clock.Time, *Actions) error{
			func(now clock.Time, out *Actions) error {
				return c.Connect(now, Session{ClientID: "dev", KeepAlive: time.Minute}, out)
			},
			func(now clock.Time, out *Actions) error {
				return c.Publish(now, &Message{Topic: Name("a/b"), QoS: 1}, out)
			},
			func(now clock.Time, out *Actions) error {
				return c.Publish(now, &Message{Topic: Predefined(1), QoS: 2}, out)
			},
			func(now clock.Time, out *Actions) error { return c.Subscribe(now, Name("a"), 2, out) },
			func(now clock.Time, out *Actions) error { return c.Unsubscribe(now, Name("a"), out) },
			func(now clock.Time, out *Actions) error { return c.Sleep(now, time.Hour, out) },
			c.Wake,
			c.Disconnect,
			func(now clock.Time, out *Actions) error {
				return c.Connect(now, Session{CleanSession: true, Will: &Will{Topic: "w"}}, out)
			},
			func(now clock.Time, out *Actions) error { return c.UpdateWill(now, &Will{Topic: "w"}, out) },
			func(now clock.Time, out *Actions) error {
				return c.Publish(now, &Message{Topic: Name("a/b"), QoS: mqttsn.QoSMinusOne}, out)
			},
			func(_ clock.Time, out *Actions) error { c.Abandon(out); return nil },
			func(_ clock.Time, out *Actions) error { // whatever timer is next
				now = max(now, c.Deadline())
				c.Tick(now, out)
				return nil
			},
		}
		for len(script) > 1 {
			n := min(int(script[0]), len(script)-1)
			out.Reset()
			if n == 0 {
				requests[int(script[1])%len(requests)](now, &out)
				script = script[2:]
			} else {
				if p, err := mqttsn.Decode(mqttsn.V12, script[1:1+n]); err == nil {
					quiet := c.State() == Disconnected || c.State() == Asleep && !c.Busy()
					c.Handle(now, p, &out)
					for b := range out.Datagrams {
						if quiet {
							t.Fatalf("%v: %v is answered with %x", c.State(), p, b)
						}
					}
				}
				script = script[1+n:]
			}
			for b, is := range out.Sent {
				if p, err := mqttsn.Decode(mqttsn.V12, b); err != nil || p.Type() != is.Type {
					t.Fatalf("sent %x as %v: %v", b, is.Type, err)
				}
			}
			s, waits := c.State(), c.Deadline() != 0
			if awaits, _ := c.Awaits(); awaits != 0 && !waits {
				t.Fatalf("%v: waits for the answer to %v for ever", s, awaits)
			}
			talks := cfg.Quirks.Has(SleepTalk) && s == Asleep
			if (s == Disconnected || s == Asleep && !talks) && (c.Busy() || waits) || talks && waits != c.Busy() {
				t.Fatalf("%v, but busy: %v, deadline %v", s, c.Busy(), c.Deadline())
			}
			if len(c.topics) > cfg.MaxTopics || len(c.taken) > maxTaken {
				t.Fatalf("%d topics and %d message ids are remembered", len(c.topics), len(c.taken))
			}
		}
	})
}
