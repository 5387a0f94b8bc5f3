package dtls

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A wire is a transport that keeps what is sent. The test itself hands in what
// is received.
type wire struct {
	mu   sync.Mutex
	sent []transport.Datagram
}

func (w *wire) Serve(ctx context.Context, _ func([]transport.Datagram)) error {
	<-ctx.Done()
	return nil
}

func (w *wire) Send(batch []transport.Datagram) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range batch {
		w.sent = append(w.sent, transport.Datagram{Peer: d.Peer, Buf: bytes.Clone(d.Buf)})
	}
	return nil
}

// take returns what was sent since the last time.
func (w *wire) take() []transport.Datagram {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// A bench is a Listener on a wire, and what it has passed on.
type bench struct {
	*Listener
	wire  *wire
	heard []transport.Datagram
}

func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	b := &bench{wire: new(wire)}
	l, err := New(c, &handshake.Credentials{PSK: oneKey}, b.wire)
	if err != nil {
		t.Fatal(err)
	}
	b.Listener = l
	if _, err := l.Load(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) receives(from netip.AddrPort, datagrams ...[]byte) {
	var batch []transport.Datagram
	for _, d := range datagrams {
		batch = append(batch, transport.Datagram{Peer: transport.Peer{Addr: from}, Buf: bytes.Clone(d)})
	}
	b.receive(batch, func(batch []transport.Datagram) {
		for _, d := range batch {
			b.heard = append(b.heard, transport.Datagram{Peer: d.Peer, Buf: bytes.Clone(d.Buf)})
		}
	})
}

// A peer is the far end of an association without a handshake.
type peer struct {
	record.Association
	ciphers *record.Ciphers
}

var home = netip.MustParseAddrPort("192.0.2.1:4000")

// welcomes gives b an association, kept and all, with the peer it returns.
func (b *bench) welcomes(t testing.TB, cid bool, from netip.AddrPort) *peer {
	t.Helper()
	id := newID()
	keys := record.Keys{ReadIV: [4]byte(id[:4]), WriteIV: [4]byte(id[4:])}
	copy(keys.Read[:], id[:])
	copy(keys.Write[8:], id[:])
	agreed := &handshake.Agreement{PSKIdentity: []byte("sensor"), Association: record.Association{
		Keys: keys, ID: id, Suite: record.CCM8, HasCID: cid, Sent: 1 << 10, Reserved: 1 << 10}}
	if err := b.welcome(&shaking{id: id, peer: transport.Peer{Addr: from}}, agreed); err != nil {
		t.Fatal(err)
	}
	p := &peer{Association: record.Association{
		Keys:     record.Keys{Read: keys.Write, Write: keys.Read, ReadIV: keys.WriteIV, WriteIV: keys.ReadIV},
		Suite:    record.CCM8,
		Reserved: math.MaxUint32,
	}}
	if cid {
		p.PeerCIDLen = uint8(copy(p.PeerCID[:], id[:]))
	}
	p.ciphers = p.Ciphers()
	return p
}

func (p *peer) seals(text string) []byte {
	b, err := p.Seal(p.ciphers, nil, record.ApplicationData, []byte(text))
	if err != nil {
		panic(err)
	}
	return b
}

// opens returns what a datagram says to p, and its number.
func (p *peer) opens(t testing.TB, datagram []byte) (record.Content, uint64) {
	t.Helper()
	r, _, err := record.Next(datagram, record.IDLength)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Open(p.ciphers, r)
	if err != nil {
		t.Fatal(err)
	}
	return got, r.Sequence
}

func benchConfig(k Keeper) Config {
	c := DefaultConfig()
	c.Keeper = k
	return c
}

// TestRestart: a sensor does not notice that the gateway was restarted, and
// what it said before is not heard again. Row 37.
func TestRestart(t *testing.T) {
	for _, cid := range []bool{true, false} {
		t.Run(fmt.Sprint("cid=", cid), func(t *testing.T) {
			c := testConfig()
			c.Keeper = newDrawer()
			cred := &handshake.Credentials{PSK: oneKey}
			h := open(t, c, cred, loopback)
			options := withKey("sensor")
			if cid {
				options = append(options, withCID)
			}
			s := dial(t, h.addr, options...)
			s.says("before")
			who := h.Identity(h.hears("before"))
			s.gets("ack before")
			old := s.radio.last()
			for i := range 3 {
				h.stop()
				h = open(t, c, cred, h.addr)
				s.radio.socket.WriteTo(old, s.server)
				eventually(t, "refused", func() bool { return h.figure(`dormouse_dtls_records_dropped_total{reason="replayed"}`) == 1 })
				if cid {
					s.radio.rebind(t)
				}
				s.says(fmt.Sprint("after ", i))
				if after := h.Identity(h.hears(fmt.Sprint("after ", i))); after != who {
					t.Errorf("it is %+v after the restart, and was %+v", after, who)
				}
				s.gets(fmt.Sprint("ack after ", i))
				if n := h.figure("dormouse_dtls_handshakes_begun_total"); n != 0 {
					t.Errorf("%d handshakes after the restart", n)
				}
			}
		})
	}
}

// TestNamesLast: a connection has another number after a restart, and the same
// name.
func TestNamesLast(t *testing.T) {
	for _, cid := range []bool{true, false} {
		k := newDrawer()
		b := newBench(t, benchConfig(k))
		b.welcomes(t, cid, netip.MustParseAddrPort("192.0.2.9:9"))
		p := b.welcomes(t, cid, home)
		b.receives(home, p.seals("x"))
		id, ok := b.ConnID(b.heard[0].Peer.Conn)
		if !ok {
			t.Fatal("it has no name")
		}
		b = newBench(t, benchConfig(k))
		if who, ok := b.ConnPeer(id); !ok || who.Addr != home || b.Identity(who).Name != "sensor" {
			t.Errorf("cid %v: after a restart it is %v, %v", cid, who, ok)
		}
		if _, ok := b.ConnPeer(newID()); ok {
			t.Error("a name of nobody is known")
		}
	}
}

// TestNothingTwice runs peers and a Listener through restarts and crashes, in
// which whatever was not synced is forgotten, by seed: no sequence number is
// ever used twice to seal, and no record is passed on twice.
func TestNothingTwice(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		k := newDrawer()
		b := newBench(t, benchConfig(k))
		p := b.welcomes(t, seed%2 == 0, home)
		k.manual = true
		used := make(map[uint64]bool)
		heard := make(map[string]bool)
		var old [][]byte
		restarts, answers := 0, 0
		conn := uint32(0)
		note := func() {
			for _, d := range b.wire.take() {
				n := binary.BigEndian.Uint64(d.Buf[3:])
				if used[n] {
					t.Fatalf("seed %d: number %#x was used twice", seed, n)
				}
				used[n] = true
				answers++
			}
			for _, d := range b.heard {
				if heard[string(d.Buf)] {
					t.Fatalf("seed %d: %q was heard twice", seed, d.Buf)
				}
				heard[string(d.Buf)] = true
				conn = d.Peer.Conn
			}
			b.heard = nil
		}
		for step := range 400 {
			switch random.IntN(12) {
			case 0, 1, 2:
				old = append(old, p.seals(fmt.Sprint(step)))
				b.receives(home, old[len(old)-1])
			case 3, 4:
				if len(old) > 0 {
					b.receives(home, old[max(0, len(old)-1-random.IntN(10))])
				}
			case 5, 6, 7:
				for range random.IntN(300) {
					b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("x")}})
				}
			case 8, 9, 10:
				k.sync()
			case 11:
				note()
				if random.IntN(2) == 0 {
					k.sync() // stopped in peace
				}
				note()
				k.crash()
				b = newBench(t, benchConfig(k))
				b.endThose(Idle, func(a *association, _ string) bool { conn = a.number; return false })
				restarts++
			}
			note()
		}
		if restarts == 0 || answers < 100 || len(heard) < 10 {
			t.Fatalf("seed %d: nothing happened: %d restarts, %d sent, %d heard", seed, restarts, answers, len(heard))
		}
	}
}

// TestKeptFirst: a datagram is passed on when it is kept that it was received,
// not before, and not at all if that cannot be kept; nor is anything sealed
// with numbers that could not be reserved.
func TestKeptFirst(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	p := b.welcomes(t, true, home)
	b.receives(home, p.seals("one"))
	conn := b.heard[0].Peer.Conn
	k.manual = true
	b.receives(home, p.seals("two"))
	if len(b.heard) != 1 {
		t.Fatal("it was heard before that was kept")
	}
	k.sync()
	if len(b.heard) != 2 || string(b.heard[1].Buf) != "two" {
		t.Fatalf("heard %v", b.heard)
	}
	k.broken = errors.New("the disk is full")
	b.receives(home, p.seals("three"))
	if n := figure(b.Listener, `dormouse_dtls_records_dropped_total{reason="not_kept"}`); len(b.heard) != 2 || n != 1 {
		t.Errorf("heard %v, %d not kept", b.heard, n)
	}
	for range 3 * block {
		b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("x")}})
	}
	sent := len(b.wire.take())
	if n := figure(b.Listener, `dormouse_dtls_records_unsent_total{reason="not_kept"}`); sent < block/2 || sent > block || int(n) != 3*block-sent {
		t.Errorf("%d were sent, and %d not, of %d, with %d numbers reserved", sent, n, 3*block, block)
	}
	k.broken = nil
	b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("x")}})
	if len(b.wire.take()) != 0 {
		t.Error("it was sent before numbers were reserved")
	}
	k.sync()
	if len(b.wire.take()) != 1 {
		t.Error("it was not sent when numbers were reserved")
	}
}

// TestEndIsKept: an association that has ended is not there after a restart.
func TestEndIsKept(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	p := b.welcomes(t, true, home)
	b.receives(home, p.seals("one"))
	goodbye, err := p.Seal(p.ciphers, nil, record.Alert, closeNotify)
	if err != nil {
		t.Fatal(err)
	}
	b.receives(home, goodbye)
	answer := b.wire.take()
	if len(answer) != 1 {
		t.Fatalf("it was answered %v", answer)
	}
	if got, _ := p.opens(t, answer[0].Buf); got.Type != record.Alert || !bytes.Equal(got.Octets, closeNotify) {
		t.Errorf("it was answered %+v", got)
	}
	if len(k.synced) != 0 {
		t.Errorf("there is still kept %v", k.synced)
	}
	if figure(newBench(t, benchConfig(k)).Listener, "dormouse_dtls_associations") != 0 {
		t.Error("it is there again after a restart")
	}
}

// TestTampered: what is kept and cannot be made out is refused, by name.
func TestTampered(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	b.welcomes(t, true, home)
	for id, c := range k.synced {
		for _, bad := range []Change{
			{ID: id, Made: c.Made[:20], State: c.State},
			{ID: id, Made: c.Made, State: c.State[:20]},
			{ID: id, State: c.State},
			{ID: id, Made: append([]byte{0x20}, c.Made[1:]...), State: c.State},
		} {
			k.synced[id] = bad
			l, err := New(benchConfig(k), &handshake.Credentials{PSK: oneKey}, new(wire))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Load(); !errors.Is(err, record.ErrKept) {
				t.Errorf("%x, %x: %v", bad.Made, bad.State, err)
			}
		}
	}
}
