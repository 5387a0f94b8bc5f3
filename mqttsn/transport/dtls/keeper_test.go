package dtls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
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
	b, _ := loadBench(t, c, &handshake.Credentials{PSK: oneKey})
	return b
}

func loadBench(t testing.TB, c Config, credentials *handshake.Credentials) (*bench, Taken) {
	t.Helper()
	b := &bench{wire: new(wire)}
	l, err := New(c, credentials, b.wire)
	if err != nil {
		t.Fatal(err)
	}
	b.Listener = l
	taken, err := l.Load()
	if err != nil {
		t.Fatal(err)
	}
	return b, taken
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
	return b.agrees(t, cid, from, &handshake.Agreement{PSKIdentity: []byte("sensor")}, b.credentials.Load())
}

// agrees gives b an association of what was agreed on, by what was known then.
func (b *bench) agrees(t testing.TB, cid bool, from netip.AddrPort, agreed *handshake.Agreement, by *basis) *peer {
	t.Helper()
	id := newID()
	keys := record.Keys{ReadIV: [4]byte(id[:4]), WriteIV: [4]byte(id[4:])}
	copy(keys.Read[:], id[:])
	copy(keys.Write[8:], id[:])
	agreed.Association = record.Association{Keys: keys, ID: id, Suite: record.CCM8, HasCID: cid, Sent: 1 << 10, Reserved: 1 << 10}
	if err := b.welcome(t.Context(), &shaking{id: id, peer: transport.Peer{Addr: from}, basis: by}, agreed); err != nil {
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
	c.Keeper, c.Secret = k, testSecret
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
// which whatever was not synced is forgotten, or the later part of it, by seed: no
// sequence number is ever used twice to seal; of what is passed on, which is
// written to the same log and answered, nothing is durable twice, nor answered
// twice, not even if the answer rests on nothing that is written.
func TestNothingTwice(t *testing.T) {
	total := 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		k := newDrawer()
		b := newBench(t, benchConfig(k))
		p := b.welcomes(t, seed%2 == 0, home)
		k.manual = true
		used, said := make(map[uint64]bool), make(map[string]bool)
		var old [][]byte
		restarts, again := 0, 0
		heard := make(map[string]bool)
		conn := uint32(0)
		note := func() {
			for _, d := range b.heard {
				conn = d.Peer.Conn
				text := string(d.Buf)
				if heard[text] {
					again++ // what a crash has undone
				}
				heard[text] = true
				answer := []transport.Datagram{{Peer: d.Peer, Buf: []byte("ack " + text)}}
				if random.IntN(2) == 0 {
					b.Send(answer)
					continue
				}
				here := b
				k.do(text, func(error) { here.Send(answer) })
			}
			b.heard = nil
			for _, d := range b.wire.take() {
				got, n := p.opens(t, d.Buf)
				if used[n] {
					t.Fatalf("seed %d: number %#x was used twice", seed, n)
				}
				used[n] = true
				text := string(got.Octets)
				if said[text] && text != "x" {
					t.Fatalf("seed %d: it said %q twice", seed, text)
				}
				said[text] = true
			}
			for i, act := range k.acts {
				if slices.Contains(k.acts[:i], act) {
					t.Fatalf("seed %d: %q was done twice", seed, act)
				}
			}
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
			case 5, 6:
				for range random.IntN(300) {
					b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("x")}})
				}
			case 7, 8:
				k.sync()
			case 9, 10:
				k.syncSome(1)
			case 11:
				note()
				if random.IntN(3) == 0 {
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
		if restarts == 0 || len(used) < 100 || len(said) < 10 || len(k.acts) < 5 {
			t.Fatalf("seed %d: nothing happened: %d restarts, %d sent, %d answers, %d acts", seed, restarts, len(used), len(said), len(k.acts))
		}
		total += again
	}
	if total == 0 {
		t.Error("no crash has undone anything")
	}
}

// TestKeptFirst: a datagram is passed on when the Keeper has been told, but
// nothing is sent to its peer before that is kept; and not at all if it cannot
// be, nor is it passed on then. Nobody else waits for it. Nothing is sealed with
// numbers that are not reserved yet.
func TestKeptFirst(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	away := netip.MustParseAddrPort("192.0.2.2:4000")
	p, other := b.welcomes(t, true, home), b.welcomes(t, true, away)
	b.receives(home, p.seals("one"))
	b.receives(away, other.seals("uno"))
	conn, others := b.heard[0].Peer.Conn, b.heard[1].Peer.Conn
	say := func(conn uint32, n int) int {
		for range n {
			b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: []byte("x")}})
		}
		return len(b.wire.take())
	}
	k.manual = true
	b.receives(home, p.seals("two"))
	if len(b.heard) != 3 || len(k.written) != 1 {
		t.Fatalf("heard %v, and %d times kept", b.heard, len(k.written))
	}
	if n := say(conn, 1); n != 0 {
		t.Error("it was answered before it was kept that it was heard")
	}
	if n := say(others, 1); n != 1 {
		t.Error("another waits for it")
	}
	b.receives(home, p.seals("three"))
	if n := say(conn, 1); n != 0 {
		t.Error("it was answered before it was kept that it was heard")
	}
	for turn := range 2 {
		k.syncSome(1)
		if n := len(b.wire.take()); n != 1 {
			t.Errorf("turn %d: %d answers, want 1", turn, n)
		}
	}
	if n := say(conn, 2*block); n < block/2 || n > block {
		t.Errorf("%d were sent of %d, with %d numbers reserved", n, 2*block, block)
	}
	k.sync()
	if n := len(b.wire.take()); n < block/2 {
		t.Errorf("%d were sent when numbers were reserved", n)
	}
	k.sync()
	heard := len(b.heard)
	k.broken = errors.New("the disk is gone")
	b.receives(home, p.seals("four"))
	if n := figure(b.Listener, `dormouse_dtls_records_dropped_total{reason="not_kept"}`); len(b.heard) != heard || n != 1 {
		t.Errorf("heard %v, %d not kept", b.heard, n)
	}
	say(others, 3*block)
	if n := figure(b.Listener, `dormouse_dtls_records_unsent_total{reason="not_kept"}`); n < block {
		t.Errorf("%d not sent for want of numbers", n)
	}
}

// TestKeptTogether: what waits for several to be kept, after a restart, is sent
// once they are, all of it: nobody's numbers are asked for again.
func TestKeptTogether(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	var peers []*peer
	for i := range 2 * parts { // two of them are in the same part
		peers = append(peers, b.welcomes(t, true, netip.AddrPortFrom(home.Addr(), uint16(1000+i))))
	}
	b = newBench(t, benchConfig(k))
	k.manual = true
	var batch [][]byte
	for _, p := range peers {
		batch = append(batch, p.seals("x"))
	}
	b.receives(home, batch...)
	for _, d := range b.heard {
		b.Send([]transport.Datagram{{Peer: d.Peer, Buf: []byte("y")}})
	}
	k.sync()
	if n := len(b.wire.take()); n != len(peers) || len(k.written) != 0 {
		t.Errorf("%d of %d answers, and the Keeper asked %d times more", n, len(peers), len(k.written))
	}
}

// TestStop: a listener that ends while something is sent, for which numbers are
// to be reserved, waits for the Keeper, which it asks nothing after that.
func TestStop(t *testing.T) {
	for range 50 {
		k := newDrawer()
		b := newBench(t, benchConfig(k))
		b.receives(home, b.welcomes(t, true, home).seals("x"))
		k.manual = true
		ctx, cancel := context.WithCancel(t.Context())
		var others sync.WaitGroup
		others.Go(func() {
			for range 4 * block {
				b.Send([]transport.Datagram{{Peer: b.heard[0].Peer, Buf: []byte("y")}})
			}
		})
		served := make(chan bool, 1)
		var syncing sync.WaitGroup
		syncing.Go(func() {
			for len(served) == 0 {
				k.sync()
				runtime.Gosched()
			}
		})
		cancel()
		if err := b.Serve(ctx, nil); err != nil {
			t.Fatal(err)
		}
		served <- true
		syncing.Wait()
		others.Wait()
		if n := len(k.written); n > 0 {
			t.Fatalf("the Keeper was asked %d times after the end", n)
		}
	}
}

// TestKeeperStands: while a Keeper does not answer, what waits for it is bounded,
// in and out, and counted.
func TestKeeperStands(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	p := b.welcomes(t, true, home)
	k.manual = true
	for range maxKeeping + 10 {
		b.receives(home, p.seals("x"))
	}
	if n := figure(b.Listener, `dormouse_dtls_records_dropped_total{reason="not_kept"}`); len(b.heard) != maxKeeping || n != 10 {
		t.Errorf("%d heard, %d dropped", len(b.heard), n)
	}
	batch := []transport.Datagram{{Peer: b.heard[0].Peer, Buf: make([]byte, 1<<10)}}
	for range maxWaiting >> 10 {
		b.Send(batch)
	}
	dropped := figure(b.Listener, `dormouse_dtls_records_unsent_total{reason="not_kept"}`)
	if dropped == 0 {
		t.Error("all of them wait")
	}
	for len(k.written) > 0 {
		k.sync() // and more numbers
	}
	if n := len(b.wire.take()); uint64(n) != maxWaiting>>10-dropped {
		t.Errorf("%d sent in the end, and %d dropped, of %d", n, dropped, maxWaiting>>10)
	}
	if n := b.waiting.Load(); n != 0 {
		t.Errorf("%d octets wait for nothing", n)
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

// TestEndedMeanwhile: of an association that ends between what it said and that
// this is kept, nothing is kept any more before anybody acts on it: else it might
// be heard again after a crash.
func TestEndedMeanwhile(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	p := b.welcomes(t, true, home)
	b.receives(home, p.seals("one"))
	conn := b.heard[0].Peer.Conn
	id, _ := b.ConnID(conn)
	said := p.seals("two")
	in := &inbound{l: b.Listener}
	in.hear(transport.Datagram{Peer: transport.Peer{Addr: home}, Buf: bytes.Clone(said)})
	b.with(conn, func(p *part, slot int32) { b.leave(p, slot, Idle) })
	if err := in.keep(); err != nil {
		t.Fatal(err)
	}
	if _, kept := k.synced[id]; kept || len(in.plain) != 1 {
		t.Errorf("of what is gone is still kept %x, and %d datagrams are passed on", k.synced[id].State, len(in.plain))
	}
}

// TestNoRoom: whoever comes where another was, and finds no room, has ended the
// other's association all the same, also over a restart: only one is known by
// that address.
func TestNoRoom(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	b.welcomes(t, false, home)
	k.full = errors.New("the disk is full")
	id := newID()
	agreed := &handshake.Agreement{PSKIdentity: []byte("sensor"), Association: record.Association{ID: id, Suite: record.CCM8}}
	if err := b.welcome(t.Context(), &shaking{id: id, peer: transport.Peer{Addr: home}, basis: b.credentials.Load()}, agreed); !errors.Is(err, k.full) {
		t.Fatalf("it was kept: %v", err)
	}
	k.full = nil
	b.welcomes(t, false, home)
	if n := figure(newBench(t, benchConfig(k)).Listener, "dormouse_dtls_associations"); n != 1 {
		t.Errorf("%d associations are at the same address after a restart", n)
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
