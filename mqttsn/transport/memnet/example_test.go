package memnet_test

import (
	"fmt"
	"net/netip"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/memnet"
)

// A simulation is one loop: go to the next moment at which anything happens,
// let the datagrams arrive, and let everybody act on the time.
func Example() {
	net := memnet.New(memnet.Config{
		Seed:  1,
		Up:    memnet.Link{Loss: 0.2, Latency: 30 * time.Millisecond},
		Down:  memnet.Link{Loss: 0.2, Latency: 30 * time.Millisecond},
		Trace: 1000,
	})

	// Ten sensors ask until they are answered.
	start := clock.Time(time.Hour)
	ask := map[transport.Peer]clock.Time{}
	for i := range 10 {
		p := transport.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1884)}
		ask[p] = start
	}

	now := start
	for len(ask) > 0 {
		net.Advance(now)
		for p, at := range ask {
			if at.Reached(now) {
				net.Inject(p, []byte("are you there?"))
				ask[p] = now.Add(10 * time.Second)
			}
		}
		net.Deliver(now, func(batch []transport.Datagram) { // the gateway
			for _, d := range batch {
				net.Send([]transport.Datagram{{Peer: d.Peer, Buf: []byte("yes")}})
			}
		})
		for _, d := range net.Sent(now) {
			delete(ask, d.Peer)
		}

		next := net.Next()
		for _, at := range ask {
			next = clock.Sooner(next, at)
		}
		now = next
	}

	// What the network wrote down is what a test judges by.
	answers := 0
	events, complete := net.Trace()
	for _, e := range events {
		if e.Direction == memnet.Down && e.Fate == memnet.Arrived {
			answers++
		}
	}
	fmt.Println(answers, "answers; trace complete:", complete)
	// Output: 10 answers; trace complete: true
}
