package dtls

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// keysOf are credentials with a key each.
func keysOf(keys map[string]string) *handshake.Credentials {
	return &handshake.Credentials{PSK: func(identity []byte) ([]byte, bool) {
		key, known := keys[string(identity)]
		return []byte(key), known
	}}
}

// TestKeysOverAStop: who has another key after a restart, or none, needs a
// handshake; and so does everybody if the secret is another. All others do not.
func TestKeysOverAStop(t *testing.T) {
	k := newDrawer()
	b, _ := loadBench(t, benchConfig(k), keysOf(map[string]string{"a": "one", "b": "two", "c": "three"}))
	for i, name := range []string{"a", "b", "c"} {
		b.agrees(t, i%2 == 0, netip.AddrPortFrom(home.Addr(), uint16(4000+i)), &handshake.Agreement{PSKIdentity: []byte(name)}, b.credentials.Load())
	}
	for range 2 {
		if _, taken := loadBench(t, benchConfig(k), keysOf(map[string]string{"a": "one", "b": "two", "c": "three", "d": "four"})); taken != (Taken{Up: 3}) {
			t.Fatalf("with the same keys: %+v", taken)
		}
	}
	b, taken := loadBench(t, benchConfig(k), keysOf(map[string]string{"a": "one", "b": "tow"}))
	if taken != (Taken{Up: 1, Void: 2}) {
		t.Errorf("with one key of three: %+v", taken)
	}
	b.endThose(Idle, func(_ *association, name string) bool {
		if name != "a" {
			t.Errorf("%q is still in", name)
		}
		return false
	})
	if _, taken := loadBench(t, benchConfig(k), keysOf(map[string]string{"a": "one", "b": "two", "c": "three"})); taken != (Taken{Up: 1}) {
		t.Errorf("what did not stand once was kept: %+v", taken)
	}
	other := benchConfig(k)
	other.Secret = []byte("of another store")
	if _, taken := loadBench(t, other, keysOf(map[string]string{"a": "one"})); taken != (Taken{Void: 1}) {
		t.Errorf("by another secret: %+v", taken)
	}
}

// TestAuthoritiesOverAStop: who is vouched for by an authority that is none any
// more needs a handshake, at once or after a restart. Others do not, nor do
// those of an authority whose certificate was renewed.
func TestAuthoritiesOverAStop(t *testing.T) {
	one, two := newAuthority(t), newAuthority(t)
	renewed := *one.cert
	renewed.SerialNumber = big.NewInt(2)
	der, err := x509.CreateCertificate(rand.Reader, &renewed, &renewed, one.key.Public(), one.key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server := one.issue(t, "gateway")
	by := func(authorities ...*x509.Certificate) *handshake.Credentials {
		return &handshake.Credentials{Certificate: &server, Authorities: authorities}
	}
	for _, running := range []bool{true, false} {
		c := testConfig()
		c.Keeper = newDrawer()
		h := open(t, c, by(one.cert, two.cert), loopback)
		in := make(map[string]*sensor)
		for name, a := range map[string]*authority{"one": one, "two": two} {
			in[name] = dial(t, h.addr, piondtls.WithCertificates(a.issue(t, name)), piondtls.WithRootCAs(one.pool), piondtls.WithServerName("localhost"), withCID)
			in[name].says(name)
			h.hears(name)
		}
		now := func(what string, c2 *handshake.Credentials, names ...string) {
			t.Helper()
			if running {
				if err := h.SetCredentials(c2); err != nil {
					t.Fatal(err)
				}
			} else {
				h.stop()
				h = open(t, c, c2, h.addr)
			}
			var got []string
			h.endThose(Idle, func(a *association, name string) bool {
				got = append(got, name)
				return false
			})
			slices.Sort(got)
			if !slices.Equal(got, names) {
				t.Errorf("running: %v, %s: %q are in, want %q", running, what, got, names)
			}
		}
		now("as before", by(two.cert, one.cert), "one", "two")
		now("renewed", by(again, two.cert), "one", "two")
		now("without two", by(again), "one")
		in["one"].says("still here")
		h.hears("still here")
		now("without either", by(newAuthority(t).cert))
	}
}

// TestExpired: an association does not outlive the certificate it was agreed on
// with, nor that of the authority, running or not.
func TestExpired(t *testing.T) {
	a := newAuthority(t)
	server := a.issue(t, "gateway")
	cred := &handshake.Credentials{Certificate: &server, Authorities: []*x509.Certificate{a.cert}}
	k := newDrawer()
	chain := func(leaf, authority time.Duration) *handshake.Agreement {
		mine, theirs := *a.issue(t, "sensor").Leaf, *a.cert
		mine.NotAfter, theirs.NotAfter = time.Now().Add(leaf), time.Now().Add(authority)
		return &handshake.Agreement{Certificate: &mine, Chain: []*x509.Certificate{&mine, &theirs}}
	}
	b, _ := loadBench(t, benchConfig(k), cred)
	for _, agreed := range []*handshake.Agreement{chain(time.Hour, time.Hour), chain(-time.Hour, time.Hour), chain(time.Hour, -time.Hour)} {
		b.agrees(t, true, home, agreed, b.credentials.Load())
	}
	kept := make(map[record.ID]Change)
	for id, c := range k.synced {
		kept[id] = c
	}
	b.sweepAll()
	if n := figure(b.Listener, `dormouse_dtls_associations_ended_total{reason="expired"}`); n != 2 || len(k.synced) != 1 {
		t.Errorf("%d have expired, and %d are kept; want 2 and 1", n, len(k.synced))
	}
	k.synced = kept
	if _, taken := loadBench(t, benchConfig(k), cred); taken != (Taken{Up: 1, Void: 2}) {
		t.Errorf("after a restart: %+v", taken)
	}
}

func (b *bench) sweepAll() {
	for i := range b.parts {
		b.sweep(&b.parts[i])
	}
}

// TestOrphans: an association whose peer never says anything ends after ten
// minutes, over a restart or not; who has said something once has all the time
// that there is.
func TestOrphans(t *testing.T) {
	for _, restart := range []bool{false, true} {
		c := benchConfig(newDrawer())
		now := handClock(&c)
		b := newBench(t, c)
		b.welcomes(t, true, home)
		talks := b.welcomes(t, true, home)
		b.receives(home, talks.seals("x"))
		if restart {
			b = newBench(t, c)
		}
		for i, wait := range []time.Duration{9 * time.Minute, 2 * time.Minute, c.Idle - 12*time.Minute, 2 * time.Minute} {
			now.Add(int64(wait))
			b.sweepAll()
			if n, want := figure(b.Listener, "dormouse_dtls_associations"), []uint64{2, 1, 1, 0}[i]; n != want {
				t.Errorf("restart: %v, step %d: %d are there, want %d", restart, i, n, want)
			}
		}
	}
}

// TestChangedMeanwhile: keys that change while a handshake is being done end
// what it comes to, if it rests on one of them.
func TestChangedMeanwhile(t *testing.T) {
	b, _ := loadBench(t, benchConfig(newDrawer()), keysOf(map[string]string{"goes": "1", "stays": "2"}))
	before := b.credentials.Load()
	if err := b.SetCredentials(keysOf(map[string]string{"stays": "2"})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"goes", "stays"} {
		b.agrees(t, true, home, &handshake.Agreement{PSKIdentity: []byte(name)}, before)
	}
	if n := figure(b.Listener, "dormouse_dtls_associations"); n != 1 {
		t.Errorf("%d are in, want 1", n)
	}
}

// TestHostile37: what is kept and has become another, or stands where another
// stood, is not taken up: neither under another's name, nor with other keys. The
// rest is.
func TestHostile37(t *testing.T) {
	k := newDrawer()
	b := newBench(t, benchConfig(k))
	victim := b.welcomes(t, true, home)
	canary := b.welcomes(t, true, netip.MustParseAddrPort("192.0.2.2:4000"))
	id := record.ID(victim.PeerCID[:record.IDLength])
	was := k.synced[id]
	tried := func(what string, id record.ID, c Change) {
		t.Helper()
		c.ID = id
		k.synced[id] = c
		b, taken := loadBench(t, benchConfig(k), &handshake.Credentials{PSK: oneKey})
		want := Taken{Up: 1, Void: 1}
		if id != was.ID {
			want.Up++
		}
		if taken != want {
			t.Errorf("%s: %+v", what, taken)
		}
		b.receives(netip.MustParseAddrPort("192.0.2.2:4000"), canary.seals(what))
		if len(b.heard) != 1 || string(b.heard[0].Buf) != what {
			t.Errorf("%s: the canary is not heard", what)
		}
		delete(k.synced, id)
		if _, kept := k.synced[was.ID]; !kept {
			k.synced[was.ID] = was
		}
	}
	for i := range was.Made {
		c := was
		c.Made = bytes.Clone(c.Made)
		c.Made[i] ^= 2
		if _, err := b.restore(c); err != nil {
			continue // that ends the start: TestTampered
		}
		tried("another octet", id, c)
	}
	tried("a copy", newID(), was)
	tried("of before there were marks", id, Change{Made: append(victim.AppendMade(nil), append([]byte{1}, "sensor"...)...), State: was.State})
}

// TestFewerThanKept: if fewer may be than are kept, those go that were silent
// for longest, and the start goes on.
func TestFewerThanKept(t *testing.T) {
	k := newDrawer()
	c := benchConfig(k)
	now := handClock(&c)
	b := newBench(t, c)
	now.Add(-int64(10 * time.Minute)) // all this was a while ago
	var peers []*peer
	for i := range 10 {
		peers = append(peers, b.welcomes(t, i%2 == 0, netip.AddrPortFrom(home.Addr(), uint16(4000+i))))
	}
	for _, i := range []int{3, 1, 4, 2, 0, 9, 5, 6, 8, 7} {
		now.Add(int64(time.Minute))
		b.receives(netip.AddrPortFrom(home.Addr(), uint16(4000+i)), peers[i].seals("x"))
	}
	c.MaxAssociations = 3
	b, taken := loadBench(t, c, &handshake.Credentials{PSK: oneKey})
	if taken != (Taken{Up: 3, Crowded: 7}) || len(k.synced) != 3 {
		t.Errorf("%+v, and %d are kept", taken, len(k.synced))
	}
	for _, i := range []int{6, 8, 7} {
		b.receives(netip.AddrPortFrom(home.Addr(), uint16(4000+i)), peers[i].seals("y"))
	}
	if len(b.heard) != 3 {
		t.Errorf("%d of the last 3 are heard", len(b.heard))
	}
}

// TestCrowded: when there are as many as may be, the longest silent makes room
// for a handshake: first one that never said anything. Nobody does who was heard
// within a minute: the newcomer is refused then. Where they are kept, and beside
// whom, is for their ids to say, which are random.
func TestCrowded(t *testing.T) {
	for range 100 {
		crowded(t)
	}
}

func crowded(t *testing.T) {
	t.Helper()
	c := benchConfig(newDrawer())
	c.MaxAssociations = 3
	now := handClock(&c)
	b := newBench(t, c)
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(home.Addr(), uint16(4000+i)) }
	peers := make(map[int]*peer)
	heard := func(i int) bool {
		n := len(b.heard)
		b.receives(at(i), peers[i].seals("x"))
		return len(b.heard) > n
	}
	for i := range 3 {
		peers[i] = b.welcomes(t, true, at(i))
		if i != 2 {
			heard(i)
		}
		now.Add(int64(time.Minute))
	}
	for newcomer, goes := range []int{2, 0} { // the one that is mute, and then the oldest
		peers[3+newcomer] = b.welcomes(t, true, at(3+newcomer))
		heard(3 + newcomer)
		if heard(goes) {
			t.Errorf("newcomer %d has not taken the place of %d", newcomer, goes)
		}
	}
	if !heard(1) || !heard(3) || !heard(4) {
		t.Error("somebody else had to go")
	}
	if err := b.welcome(t.Context(), &shaking{id: newID(), basis: b.credentials.Load()}, &handshake.Agreement{PSKIdentity: []byte("sensor"), Association: record.Association{HasCID: true}}); err != errFull {
		t.Errorf("one more, where all were heard just now: %v", err)
	}
	if !heard(1) || !heard(3) || !heard(4) {
		t.Error("who was heard just now had to go")
	}
	if n := figure(b.Listener, `dormouse_dtls_associations_ended_total{reason="crowded"}`); n != 2 {
		t.Errorf("%d had to go, want 2", n)
	}
}
