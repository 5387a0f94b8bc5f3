package udp

import (
	"net/netip"
	"testing"

	"dormouse/mqttsn/transport"
)

// TestHostile49NoBroadcast: what goes to all of a network goes only where that
// is meant, and what goes to others beside it goes in any case.
func TestHostile49NoBroadcast(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		for _, meant := range []bool{false, true} {
			canary, in := serve(t, config("127.0.0.1:0"))
			c := config(address)
			c.Broadcast = meant
			conn, err := Listen(c)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			all := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), canary.Addr().Port())
			err = conn.Send([]transport.Datagram{
				{Peer: transport.Peer{Addr: all}, Buf: []byte("all")},
				{Peer: transport.Peer{Addr: canary.Addr()}, Buf: []byte("one")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, in); string(got.Buf) != "one" {
				t.Errorf("%s: the canary hears %q", address, got.Buf)
			}
			if refused := conn.Counters.WriteErrors.Load(); (refused == 0) != meant {
				t.Errorf("%s, broadcast meant %v: %d datagrams are refused", address, meant, refused)
			}
		}
	}
}
