package dtls

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// FuzzHear states the contract of what takes datagrams in: none that a peer did
// not seal panics, is passed on, or changes an octet of an association, whether
// it bears the association's CID, comes from its address, or is for a handshake.
func FuzzHear(f *testing.F) {
	c := testConfig()
	c.MaxHandshakes, c.HandshakeTimeout = 16, time.Second
	b := newBench(f, c)
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { b.Serve(ctx, func([]transport.Datagram) {}) })
	f.Cleanup(func() {
		cancel()
		served.Wait()
	})
	other := netip.MustParseAddrPort("192.0.2.2:4000")
	sealed := make(map[string]bool) // what the peers really say
	id := b.welcomes(f, true, home).PeerCID
	hello := aHello(f)
	f.Add(uint8(0), hello)
	f.Add(uint8(0), hello[:len(hello)/2])
	for _, cid := range []bool{true, false} {
		p := b.welcomes(f, cid, other)
		said := p.seals("reading")
		sealed[string(said)] = true
		f.Add(uint8(1), said[:len(said)-1])
		f.Add(uint8(1), append(bytes.Clone(hello), said[:20]...))
		forged := bytes.Clone(said)
		forged[len(forged)-1] ^= 1
		f.Add(uint8(2), forged)
		f.Add(uint8(3), append(forged, hello...))
	}
	before := b.octets()
	const at = 1 + 2 + 2 + 6 // where a record has its CID
	f.Fuzz(func(t *testing.T, where uint8, datagram []byte) {
		if sealed[string(datagram)] {
			return
		}
		if where&4 != 0 && len(datagram) >= at+record.IDLength {
			copy(datagram[at:], id[:record.IDLength])
		}
		b.receives([]netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:9"), home, other, other}[where&3], datagram)
		if len(b.heard) > 0 {
			t.Fatalf("%x is passed on as %x", datagram, b.heard[0].Buf)
		}
		if !bytes.Equal(b.octets(), before) {
			t.Fatalf("%x has changed an association", datagram)
		}
		b.wire.take()
	})
}

// FuzzRestore: whatever was kept, it is read without harm, and what can be read
// is written as it was.
func FuzzRestore(f *testing.F) {
	k := newDrawer()
	b := newBench(f, benchConfig(k))
	b.welcomes(f, true, home)
	b.welcomes(f, false, netip.MustParseAddrPort("[fe80::1%eth0]:4000"))
	for _, c := range k.synced {
		f.Add(c.Made, c.State)
	}
	f.Fuzz(func(t *testing.T, made, state []byte) {
		r, err := b.restore(Change{Made: made, State: state})
		if err != nil || r.mark == nil {
			return
		}
		again := b.appendMade(nil, &r.association, r.name, r.warrant, nil)
		if n := len(again) - markLength; !bytes.Equal(append(again[:n:n], r.mark...), made) {
			t.Fatalf("%x is read, and written as %x", made, again)
		}
	})
}
