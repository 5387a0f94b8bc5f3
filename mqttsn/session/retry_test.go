package session

import (
	"fmt"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestRetryJitter: a thousand clients that lose a message at one moment get it
// again evenly over the jitter, none before its time and none after, and the
// same holds if they lose it again.
func TestRetryJitter(t *testing.T) {
	const clients, slots = 1000, 20 // of 100 ms, in the 2 s of the jitter
	var first, second [slots]int
	for i := range clients {
		p := newPeer(t, func(c *Config) { c.RetryJitter = 0.2 })
		p.sends(&mqttsn.Connect{ProtocolID: 1, CleanSession: true, ClientID: fmt.Append(nil, "device-", i)}, subscribe(named("#"), 2, 1))
		p.has("ab", 1, "x")
		for _, at := range []*[slots]int{&first, &second} {
			wait := p.s.Deadline().Sub(p.now)
			if wait < 10*time.Second || wait >= 12*time.Second {
				t.Fatalf("client %d is sent it again after %v, want 10s to 12s", i, wait)
			}
			at[(wait-10*time.Second)/(100*time.Millisecond)]++
			p.passes(wait)
		}
	}
	for i := range slots {
		for _, n := range []int{first[i], second[i]} {
			if n > 2*clients/slots || n < clients/slots/3 {
				t.Fatalf("in twentieths of the jitter %d clients are sent it again, and then %d: not evenly", first, second)
			}
		}
	}
}
