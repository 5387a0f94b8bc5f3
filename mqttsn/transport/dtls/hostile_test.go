package dtls

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	piondtls "github.com/pion/dtls/v3"
	pionhandshake "github.com/pion/dtls/v3/pkg/protocol/handshake"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// octets are all that the associations of b are.
func (b *bench) octets() (all []byte) {
	for i := range b.parts {
		p := &b.parts[i]
		p.mu.Lock()
		for slot := range p.made {
			a := p.at(slot)
			all = append(all, unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a))...)
		}
		p.mu.Unlock()
	}
	return all
}

// TestHostile38NothingChanges: forged, replayed, truncated and foreign records,
// also from other addresses, change no octet of an association, are not passed
// on, and are not answered.
func TestHostile38NothingChanges(t *testing.T) {
	for _, cid := range []bool{true, false} {
		t.Run(fmt.Sprint("cid=", cid), func(t *testing.T) {
			b := newBench(t, benchConfig(nil))
			p := b.welcomes(t, cid, home)
			canary := b.welcomes(t, cid, netip.MustParseAddrPort("192.0.2.2:4000"))
			var old [][]byte
			for i := range 200 {
				old = append(old, p.seals(fmt.Sprint(i)))
			}
			b.receives(home, old...)
			if len(b.heard) != 200 {
				t.Fatalf("heard %d of 200", len(b.heard))
			}
			fresh := p.seals("fresh")
			before := b.octets()
			elsewhere := netip.MustParseAddrPort("198.51.100.1:5000")
			refused := func(what string, from netip.AddrPort, d []byte) {
				t.Helper()
				b.receives(from, d)
				if !bytes.Equal(b.octets(), before) {
					t.Fatalf("%s from %v changed an association", what, from)
				}
				if len(b.heard) != 200 {
					t.Fatalf("%s from %v was passed on", what, from)
				}
				if len(b.wire.take()) > 0 {
					t.Fatalf("%s from %v was answered", what, from)
				}
			}
			for _, from := range []netip.AddrPort{home, elsewhere} {
				for _, d := range old {
					refused("a replay", from, d)
				}
				for n := range fresh {
					refused("a truncated record", from, fresh[:n])
				}
				for i := range fresh {
					d := bytes.Clone(fresh)
					d[i] ^= 0x40
					refused("a forged record", from, d)
				}
				d := bytes.Clone(fresh)
				d[len(d)-1] ^= 1
				refused("a replay and a forged record", from, append(bytes.Clone(old[0]), d...))
			}
			if !cid {
				refused("a record of another's address", elsewhere, fresh)
			}
			random := rand.New(rand.NewPCG(1, 1))
			for range 1000 {
				d := bytes.Clone(fresh)
				if d[0] == byte(record.CID) {
					binary.BigEndian.PutUint64(d[11:], random.Uint64())
				} else {
					d[0] = byte(record.CID)
				}
				refused("a connection id of nobody", home, d)
			}
			b.receives(netip.MustParseAddrPort("192.0.2.2:4000"), canary.seals("canary"))
			b.receives(home, fresh)
			if len(b.heard) != 202 || string(b.heard[200].Buf) != "canary" || string(b.heard[201].Buf) != "fresh" {
				t.Errorf("after all that heard %v", b.heard[200:])
			}
		})
	}
}

// TestHostile38Reordered: of records up to 200 late none is passed on twice, and
// none moves the peer.
func TestHostile38Reordered(t *testing.T) {
	b := newBench(t, benchConfig(nil))
	p := b.welcomes(t, true, home)
	var all [][]byte
	for i := range 1000 {
		all = append(all, p.seals(fmt.Sprint(i)))
	}
	random := rand.New(rand.NewPCG(7, 7))
	heard := make(map[string]int)
	highest := -1
	for range 5000 {
		i := min(999, highest+1)
		if random.IntN(4) > 0 {
			i = max(0, highest-random.IntN(200))
		}
		from := netip.AddrPortFrom(home.Addr(), uint16(5000+i))
		b.receives(from, all[i])
		highest = max(highest, i)
		b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: b.heard[0].Peer.Conn}, Buf: []byte("x")}})
		for _, d := range b.wire.take() {
			if want := uint16(5000 + highest); d.Peer.Addr.Port() != want {
				t.Fatalf("the answer went to %v, not to where record %d came from", d.Peer, highest)
			}
		}
	}
	for _, d := range b.heard {
		if heard[string(d.Buf)]++; heard[string(d.Buf)] > 1 {
			t.Fatalf("%q was heard twice", d.Buf)
		}
	}
	if len(heard) < 300 {
		t.Errorf("only %d were heard", len(heard))
	}
}

// TestHostile39: connection ids that nobody has, or that are another gateway's,
// and the right one with a record that is not the peer's, from wherever, do not
// move a peer: it is answered where it was. Its own record does, and nobody else.
func TestHostile39(t *testing.T) {
	b, another := newBench(t, benchConfig(nil)), newBench(t, benchConfig(nil))
	yellow := netip.MustParseAddrPort("192.0.2.2:4000")
	p, canary := b.welcomes(t, true, home), b.welcomes(t, true, yellow)
	theirs := another.welcomes(t, true, home)
	b.receives(home, p.seals("one"))
	b.receives(yellow, canary.seals("two"))
	elsewhere := netip.MustParseAddrPort("198.51.100.1:5000")
	answered := func(at netip.AddrPort, i int) {
		t.Helper()
		b.wire.take()
		b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: b.heard[i].Peer.Conn}, Buf: []byte("x")}})
		if sent := b.wire.take(); len(sent) != 1 || sent[0].Peer.Addr != at {
			t.Fatalf("%q was answered with %v; want it at %v", b.heard[i].Buf, sent, at)
		}
	}
	withID := func(d []byte, id []byte) []byte {
		copy(d[11:], id)
		return d
	}
	random := rand.New(rand.NewPCG(3, 9))
	for range 200 {
		id := binary.BigEndian.AppendUint64(nil, random.Uint64())
		for _, d := range [][]byte{
			theirs.seals("of another gateway"),
			withID(theirs.seals("of another gateway, renamed"), p.PeerCID[:record.IDLength]),
			withID(canary.seals("of another peer, renamed"), p.PeerCID[:record.IDLength]),
			withID(p.seals("of the peer, renamed"), canary.PeerCID[:record.IDLength]),
			withID(p.seals("of the peer, renamed"), id),
		} {
			for _, from := range []netip.AddrPort{elsewhere, home, yellow} {
				b.receives(from, d)
			}
		}
		if len(b.heard) != 2 {
			t.Fatalf("%q was heard", b.heard[2].Buf)
		}
		answered(home, 0)
		answered(yellow, 1)
	}
	b.receives(elsewhere, p.seals("moved"))
	answered(elsewhere, 0)
	answered(yellow, 1)
	if n := figure(b.Listener, "dormouse_dtls_moves_total"); n != 1 {
		t.Errorf("%d moves, want 1", n)
	}
}

// TestHostile39Finished: the end of a handshake, which the association has not
// seen, does not move the peer when somebody sends it again from elsewhere.
func TestHostile39Finished(t *testing.T) {
	b := newBench(t, benchConfig(nil))
	p := b.welcomes(t, true, home)
	finished, err := p.Seal(p.ciphers, nil, record.Handshake, make([]byte, 24))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := netip.MustParseAddrPort("198.51.100.1:5000")
	b.receives(elsewhere, finished)
	late := p.seals("late")
	b.receives(home, p.seals("here"))
	b.receives(elsewhere, finished, late[:len(late)-1])
	b.Send([]transport.Datagram{{Peer: b.heard[0].Peer, Buf: []byte("x")}})
	if sent := b.wire.take(); len(sent) != 1 || sent[0].Peer.Addr != home {
		t.Errorf("answered with %v, want it at %v", sent, home)
	}
	if n := figure(b.Listener, "dormouse_dtls_moves_total"); n != 0 {
		t.Errorf("%d moves", n)
	}
}

// TestHostile39HeldUp: a record that was held up on its way, and comes from
// elsewhere behind newer ones, is heard once and moves nobody: somebody may have
// caught it.
func TestHostile39HeldUp(t *testing.T) {
	b := newBench(t, benchConfig(nil))
	p := b.welcomes(t, true, home)
	held := p.seals("held up")
	b.receives(home, p.seals("newer"))
	b.receives(netip.MustParseAddrPort("198.51.100.1:5000"), held)
	if n := len(b.heard); n != 2 {
		t.Fatalf("%d datagrams were heard, want both", n)
	}
	b.Send([]transport.Datagram{{Peer: b.heard[1].Peer, Buf: []byte("x")}})
	if sent := b.wire.take(); len(sent) != 1 || sent[0].Peer.Addr != home {
		t.Errorf("answered with %v, want it at %v", sent, home)
	}
	if n := figure(b.Listener, "dormouse_dtls_moves_total"); n != 0 {
		t.Errorf("%d moves", n)
	}
}

// TestHostile39Credit: a new address, and every address after a restart, is sent
// three times what came from it and no more, until a newer record came from
// there.
func TestHostile39Credit(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	p := b.welcomes(t, true, home)
	conn := uint32(0)
	answered := func() (octets int) {
		for range 100 {
			b.Send([]transport.Datagram{{Peer: transport.Peer{Conn: conn}, Buf: bytes.Repeat([]byte("x"), 20)}})
		}
		for _, d := range b.wire.take() {
			octets += len(d.Buf)
		}
		return octets
	}
	wakes := func(from netip.AddrPort) (octets int) {
		d := p.seals("wake")
		b.receives(from, d)
		conn = b.heard[len(b.heard)-1].Peer.Conn
		return len(d)
	}
	check := func(what string, sent, received int) {
		t.Helper()
		if sent > 3*received || sent < 2*received {
			t.Errorf("%s: %d octets were sent for %d", what, sent, received)
		}
	}
	wakes(home)
	if n := answered(); n < 4000 {
		t.Errorf("at the address of the handshake %d octets were sent", n)
	}
	elsewhere := netip.MustParseAddrPort("198.51.100.1:5000")
	n := wakes(elsewhere)
	check("a new address", answered(), n)
	both := append(p.seals("one"), p.seals("two")...)
	b.receives(home, both)
	check("two records at once", answered(), len(both))
	wakes(home)
	wakes(elsewhere)
	wakes(elsewhere)
	if n := answered(); n < 4000 {
		t.Errorf("after a newer record %d octets were sent", n)
	}
	b = newBench(t, benchConfig(k))
	b.endThose(Idle, func(a *association, _ string) bool { conn = a.number; return false })
	if n := answered(); n != 0 {
		t.Errorf("after a restart, before a word of its, %d octets were sent", n)
	}
	n = wakes(elsewhere)
	check("after a restart", answered(), n)
	wakes(elsewhere)
	if n := answered(); n < 4000 {
		t.Errorf("after a restart and a newer record %d octets were sent", n)
	}
}

// A flood is a Listener on a wire that serves.
func flood(t *testing.T, c Config) *bench {
	b := newBench(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { b.Serve(ctx, func([]transport.Datagram) {}) })
	t.Cleanup(func() {
		cancel()
		served.Wait()
	})
	eventually(t, "serving", func() bool {
		b.door.mu.Lock()
		defer b.door.mu.Unlock()
		return b.door.ctx != nil
	})
	return b
}

// aHello is a sensor's first datagram.
func aHello(t testing.TB) []byte {
	t.Helper()
	r := newRadio(t, netip.MustParseAddrPort("127.0.0.1:9"), nil)
	conn, err := piondtls.ClientWithOptions(r, r.server, append(withKey("sensor"), withCID)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { conn.HandshakeContext(ctx) })
	eventually(t, "sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.sent) > 0 })
	cancel()
	over.Wait()
	return bytes.Clone(r.sent[0])
}

// TestHostile35Flood: ClientHellos from very many addresses, spoofed all of
// them, leave nothing behind, and are answered with no more octets than they
// have. Sensors get in all the while, and are heard.
func TestHostile35Flood(t *testing.T) {
	c := testConfig()
	c.MaxHandshakes, c.Rate, c.RatePerPrefix = 4, 10, 10
	hello := aHello(t)
	b := flood(t, c)
	canary := b.welcomes(t, true, home)
	back := counting(t)
	for i := range 5000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 4), byte(i), byte(i)}), 4000)
		d := numbered(hello, i)
		if i%10 == 9 { // a message of 16 MB begins
			d[14], d[15], d[16] = 0xff, 0xff, 0xff
		}
		b.receives(from, d)
		out := 0
		for _, d := range b.wire.take() {
			if d.Peer.Addr != from {
				t.Fatalf("what came from %v was answered to %v", from, d.Peer)
			}
			out += len(d.Buf)
		}
		if out > len(d) || out == 0 && i%10 != 9 {
			t.Fatalf("%d octets were answered with %d", len(d), out)
		}
		if i%100 == 0 {
			b.receives(home, canary.seals("here"))
		}
	}
	if n := figure(b.Listener, "dormouse_dtls_handshakes_begun_total"); n != 0 {
		t.Errorf("%d handshakes have begun with peers that may be nowhere", n)
	}
	if len(b.heard) != 50 {
		t.Errorf("the canary was heard %d times of 50", len(b.heard))
	}
	back()
	b.knocks(t, netip.MustParseAddrPort("198.51.100.7:4000"), hello)
	if n := figure(b.Listener, "dormouse_dtls_handshakes_begun_total"); n != 1 {
		t.Error("whoever is there is not let in")
	}

	h := open(t, c, &handshake.Credentials{PSK: oneKey}, loopback)
	stop := make(chan struct{})
	var attack sync.WaitGroup
	attack.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond): // the attacker's rate
			}
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 9)
			h.door.hear(h.cfg.Clock(), transport.Datagram{Peer: transport.Peer{Addr: from}, Buf: numbered(hello, i)}, first(t, hello))
		}
	})
	for i := range 5 {
		s := dial(t, h.addr, append(withKey(fmt.Sprint("sensor", i)), withCID, piondtls.WithFlightInterval(50*time.Millisecond))...)
		s.says("here")
		h.hears("here")
		s.gets("ack here")
	}
	close(stop)
	attack.Wait()
}

// first is the first record of a datagram.
func first(t testing.TB, datagram []byte) record.Record {
	t.Helper()
	r, _, err := record.Next(datagram, record.IDLength)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHostile33: whatever a ClientHello wants, a session to be resumed among it,
// it is asked for a cookie, and nothing else: 48 octets. A cookie is good for
// nobody else, for no other ClientHello, and not for ever.
func TestHostile33(t *testing.T) {
	c := testConfig()
	now := handClock(&c)
	b := flood(t, c)
	hello := aHello(t)
	with := func(how func(*pionhandshake.MessageClientHello)) []byte { return changed(t, hello, how) }
	asks := func(what string, from netip.AddrPort, d []byte) (cookie []byte) {
		t.Helper()
		b.receives(from, d)
		answers := b.wire.take()
		if len(answers) != 1 || len(answers[0].Buf) != 48 || len(d) < 48 || b.door.busy.Load() != 0 {
			t.Fatalf("%s, %d octets, was answered with %v", what, len(d), answers)
		}
		return cookieIn(t, answers[0].Buf)
	}
	elsewhere := netip.MustParseAddrPort("198.51.100.1:5000")
	cookie := asks("a ClientHello", home, hello)
	resumes := func(m *pionhandshake.MessageClientHello) { m.SessionID = bytes.Repeat([]byte{7}, 32) }
	asks("one that resumes a session", home, with(resumes))
	for what, how := range map[string]func(*pionhandshake.MessageClientHello){
		"another session":     resumes,
		"other cipher suites": func(m *pionhandshake.MessageClientHello) { m.CipherSuiteIDs = append(m.CipherSuiteIDs, 0x1301) },
		"another Random":      func(m *pionhandshake.MessageClientHello) { m.Random.RandomBytes[0]++ },
		"another cookie":      func(m *pionhandshake.MessageClientHello) { m.Cookie[0]++ },
		"half a cookie":       func(m *pionhandshake.MessageClientHello) { m.Cookie = m.Cookie[:10] },
	} {
		asks("the cookie for "+what, home, with(func(m *pionhandshake.MessageClientHello) {
			m.Cookie = bytes.Clone(cookie)
			how(m)
		}))
	}
	back := with(func(m *pionhandshake.MessageClientHello) { m.Cookie = cookie })
	asks("somebody else's cookie", elsewhere, back)
	asks("a cookie for another port", netip.AddrPortFrom(home.Addr(), 4001), back)
	now.Add(int64(2 * time.Minute))
	asks("an old cookie", home, back)

	now.Add(int64(-time.Minute))
	b.receives(home, back)
	if b.door.busy.Load() != 1 {
		t.Error("a cookie that is a minute old is not good")
	}
}

// TestHostile35PerPrefix: one network has its share of handshakes, and of
// their rate, and no more; another's are not touched.
func TestHostile35PerPrefix(t *testing.T) {
	c := testConfig()
	c.HandshakesPerPrefix, c.RatePerPrefix, c.Rate = 5, 50, 1e6
	c.Clock = func() clock.Time { return clock.Time(time.Hour) } // all of it at once
	hello := aHello(t)
	b := flood(t, c)
	from := func(network, host int) {
		b.knocks(t, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(network), byte(host)}), 4000), hello)
	}
	from(1, 1)
	for host := range 200 {
		from(2, host)
	}
	if n := b.door.busy.Load(); n != 1+5 {
		t.Errorf("%d handshakes; want 1 of the one network and 5 of the other", n)
	}
	if n := figure(b.Listener, `dormouse_dtls_handshakes_refused_total{reason="prefix_rate"}`); n != 150 {
		t.Errorf("%d of 200 at once were refused, with 50 allowed in a second", n)
	}
	if b.door.at(netip.MustParseAddrPort("10.0.1.1:4000")) == nil {
		t.Error("the other network lost its handshake")
	}
}

// TestHostile34Epochs: records of any epoch and number, from the sensor's own
// address, in the middle of its handshake do not keep it from being done, nor do
// they after that keep the last flight from being repeated if it was lost.
func TestHostile34Epochs(t *testing.T) {
	for _, options := range [][]piondtls.ClientOption{nil, {withCID}} {
		t.Run(fmt.Sprint("cid=", len(options) > 0), func(t *testing.T) { meddled(t, options) })
	}
}

func meddled(t *testing.T, options []piondtls.ClientOption) {
	h := open(t, testConfig(), &handshake.Credentials{PSK: oneKey}, loopback)
	r := newRadio(t, h.addr, nil)
	var meddled, lost atomic.Int32
	r.deaf = func(b []byte) bool { // whenever it hears something, somebody meddles
		for _, kind := range []byte{20, 21, 22, 23, 25, 99} {
			for _, epoch := range []byte{0, 1, 2, 3, 0xff} {
				if kind == 22 && epoch == 0 {
					continue // what is said of a handshake is believed until it ends
				}
				d := append([]byte{kind, 0xfe, 0xfd, 0, epoch, 0, 0xff, 0xff, 0, 0, 9, 0, 30}, make([]byte, 30)...)
				r.WriteTo(d, nil)
				meddled.Add(1)
			}
		}
		return record.ContentType(b[0]) == record.ChangeCipherSpec && lost.Add(1) <= 2
	}
	s, err := tryDial(t, r, append(append(withKey("sensor"), piondtls.WithFlightInterval(50*time.Millisecond)), options...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, h.figures())
	}
	s.says("here")
	h.hears("here")
	if meddled.Load() == 0 {
		t.Error("nobody meddled")
	}
}

// TestHostile35Octets: a peer that sends more than a handshake takes is let go.
func TestHostile35Octets(t *testing.T) {
	b := flood(t, testConfig())
	d := aHello(t)
	b.knocks(t, home, d)
	more := append(bytes.Clone(aHello(t)[:13+12]), make([]byte, 1000)...)
	binary.BigEndian.PutUint16(more[11:], uint16(12+1000))
	more[13] = 11 // a Certificate
	for range 100 {
		b.receives(home, more)
	}
	eventually(t, "let go", func() bool {
		return figure(b.Listener, `dormouse_dtls_handshakes_failed_total{reason="octets"}`) == 1 && b.door.busy.Load() == 0
	})
}

// TestUnknownIdentity: whether an identity is unknown, or its key is another,
// cannot be told: the same is answered.
func TestUnknownIdentity(t *testing.T) {
	c := testConfig()
	failed := make(chan string, 10)
	c.Failed = func(from netip.AddrPort, why error) { failed <- fmt.Sprint(from.Addr(), " ", why) }
	h := open(t, c, &handshake.Credentials{PSK: func(identity []byte) ([]byte, bool) {
		return []byte("quite another key"), string(identity) == "sensor"
	}}, loopback)
	var answers [2]string
	for i, identity := range []string{"sensor", "nobody"} {
		r := newRadio(t, h.addr, nil)
		heard := make(chan string, 100)
		r.deaf = func(b []byte) bool {
			heard <- fmt.Sprintf("%d octets of type %d, ", len(b), b[0])
			return false
		}
		conn, err := piondtls.ClientWithOptions(r, r.server, append(withKey(identity), piondtls.WithFlightInterval(time.Hour))...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if conn.HandshakeContext(ctx) == nil {
			t.Errorf("%s got in", identity)
		}
		cancel()
		for len(heard) > 0 {
			if a := <-heard; !strings.Contains(answers[i], a) { // but for repeats
				answers[i] += a
			}
		}
	}
	eventually(t, "counted", func() bool { return h.figure(`dormouse_dtls_handshakes_failed_total{reason="key"}`) == 2 })
	if answers[0] != answers[1] || answers[0] == "" {
		t.Errorf("a wrong key was answered with %s and nobody with %s", answers[0], answers[1])
	}
	for _, identity := range []string{"sensor", "nobody"} { // we alone are told
		if got, want := <-failed, fmt.Sprintf("127.0.0.1 %v: it says that it is %q", handshake.ErrKey, identity); got != want {
			t.Errorf("the failure is %s, want %s", got, want)
		}
	}
}

// TestHostile49NobodyThere: what comes from where nobody can be, or was sent to a
// group, is not answered and moves no peer: many would answer, or be answered.
func TestHostile49NobodyThere(t *testing.T) {
	b := flood(t, benchConfig(nil))
	p := b.welcomes(t, true, home)
	b.receives(home, p.seals("here"))
	hello := aHello(t)
	var batch []transport.Datagram
	for _, from := range []string{"224.0.0.1:5000", "[ff02::1]:5000", "0.0.0.0:5000", "[::]:5000", "198.51.100.1:0"} {
		for _, octets := range [][]byte{hello, p.seals("from nowhere")} {
			batch = append(batch, transport.Datagram{Peer: transport.Peer{Addr: netip.MustParseAddrPort(from)}, Buf: octets})
		}
	}
	elsewhere := transport.Peer{Addr: netip.MustParseAddrPort("198.51.100.1:5000")}
	for _, octets := range [][]byte{hello, p.seals("to a group")} {
		batch = append(batch, transport.Datagram{Peer: elsewhere, Buf: octets, Multicast: true})
	}
	for _, d := range batch {
		b.receive([]transport.Datagram{d}, func(h []transport.Datagram) { t.Errorf("%q is passed on from %v", h[0].Buf, d.Peer.Addr) })
		if sent := b.wire.take(); len(sent) > 0 {
			t.Errorf("%v is answered, at %v", d.Peer.Addr, sent[0].Peer.Addr)
		}
	}
	if n := figure(b.Listener, `dormouse_dtls_records_dropped_total{reason="stray"}`); n != uint64(len(batch)) {
		t.Errorf("%d are counted, want %d", n, len(batch))
	}
	b.Send([]transport.Datagram{{Peer: b.heard[0].Peer, Buf: []byte("x")}})
	if sent := b.wire.take(); len(sent) != 1 || sent[0].Peer.Addr != home {
		t.Errorf("the peer is answered at %v, want it at %v", sent, home)
	}
	b.receives(elsewhere.Addr, hello)
	if sent := b.wire.take(); len(sent) != 1 || sent[0].Peer.Addr != elsewhere.Addr {
		t.Errorf("a stranger is answered with %v, want it asked for a cookie", sent)
	}
}

// FuzzReceive states the Listener's contract: no datagram, from the address of
// a peer or another, panics, changes an association, is passed on or answered
// with more than it has, unless the peer has sealed it.
func FuzzReceive(f *testing.F) {
	fixed := func(t testing.TB, cid bool) (*bench, *peer) {
		c := benchConfig(nil)
		b := newBench(t, c)
		return b, b.welcomes(t, cid, home)
	}
	_, p := fixed(f, true)
	f.Add(true, true, p.seals("x"))
	_, p = fixed(f, false)
	f.Add(false, true, p.seals("x"))
	f.Add(true, false, aHello(f))
	f.Add(true, false, []byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add(false, false, []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, cid, atHome bool, datagram []byte) {
		b, p := fixed(t, cid)
		from := home
		if !atHome {
			from = netip.MustParseAddrPort("198.51.100.1:5000")
		}
		before := b.octets()
		b.receives(from, datagram)
		if cid && len(datagram) > 19 { // with the right connection id, too
			d := bytes.Clone(datagram)
			d[0] = byte(record.CID)
			copy(d[11:], p.PeerCID[:record.IDLength])
			b.receives(from, d)
		}
		if !bytes.Equal(b.octets(), before) || len(b.heard) > 0 || len(b.wire.take()) > 0 {
			t.Fatalf("%x was taken for the peer's", datagram)
		}
		b.receives(home, p.seals("canary"))
		if len(b.heard) != 1 {
			t.Fatalf("after %x the peer is not heard", datagram)
		}
	})
}
