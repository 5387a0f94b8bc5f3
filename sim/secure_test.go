package sim

import (
	"errors"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim/radio"
)

// A fortress is a world whose gateway speaks DTLS: it finds an association by
// its connection id, or by the address, as long as nobody else has it.
type fortress struct {
	*world
	byID    map[record.ID]*record.Association
	byPlace map[Endpoint]*record.Association
	greet   []Endpoint // to be answered
	records int        // that could not be opened
	refuses bool
	made    byte
	hands   int // handshakes
	cid     bool
}

func newFortress(t *testing.T, p *Plan) *fortress {
	w := newWorld(t, p)
	return &fortress{world: w, cid: p.Groups[0].DTLS.CID,
		byID: map[record.ID]*record.Association{}, byPlace: map[Endpoint]*record.Association{}}
}

// hello and welcome stand for the flights of a handshake.
var hello, welcome = []byte("\x16\xfe\xfd hello"), []byte("\x16\xfe\xfd welcome")

// until is as of the world, with a handshake of one datagram each way.
func (w *fortress) until(d time.Duration) {
	end := start.Add(d)
	for next := w.f.Next(); next != 0 && next <= end; next = w.f.Next() {
		w.now = next
		w.f.Step(w.now)
		for h := range w.f.Handshakes {
			h.Abandon = func() {}
			h.Deliver = func([]byte) { w.f.meet(w.now, func(f *Fleet, now clock.Time) { w.agree(now, h) }) }
			w.f.Say(w.now, h, hello)
		}
		for e, b := range w.f.Datagrams {
			w.hear(e, b)
		}
		for p := range w.f.Publications {
			w.gw.deliver(w.now, p)
		}
		w.say()
	}
	w.now = end
	w.f.Step(end)
}

func (w *fortress) agree(now clock.Time, h *Handshake) {
	if w.refuses {
		w.f.Agreed(now, h, nil, errors.New("no"))
		return
	}
	w.made++
	w.hands++
	k := record.Keys{Read: [16]byte{w.made}, Write: [16]byte{w.made, 1}}
	id := record.ID{w.made}
	device := &record.Association{Keys: k, Suite: record.CCM8, Reserved: 1 << 20}
	gateway := &record.Association{Keys: record.Keys{Read: k.Write, Write: k.Read}, ID: id, Suite: record.CCM8, Reserved: 1 << 20, HasCID: w.cid}
	if w.cid {
		device.PeerCIDLen = uint8(copy(device.PeerCID[:], id[:]))
	}
	w.byID[id] = gateway
	w.byPlace[w.f.devices[h.device].endpoint] = gateway
	w.f.Agreed(now, h, device, nil)
}

func (w *fortress) hear(e Endpoint, b []byte) {
	if string(b) == string(hello) {
		w.greet = append(w.greet, e)
		return
	}
	r, _, err := record.Next(b, record.IDLength)
	a := w.byPlace[e]
	if w.cid && err == nil {
		a = w.byID[record.ID(r.CID)]
	}
	if a == nil || err != nil {
		w.records++
		return
	}
	got, err := a.Open(a.Ciphers(), r)
	if err != nil {
		w.records++
		return
	}
	w.byPlace[e] = a
	w.gw.handle(w.now, e, got.Octets)
}

func (w *fortress) say() {
	for _, e := range w.greet {
		w.f.Receive(w.now, e, welcome)
	}
	w.greet = w.greet[:0]
	for _, a := range w.gw.answers {
		b, err := mqttsn.Append(nil, mqttsn.V12, a.p)
		if err != nil {
			w.t.Fatal(err)
		}
		of := w.byPlace[a.to]
		if of == nil {
			continue
		}
		sealed, err := of.Seal(of.Ciphers(), nil, record.ApplicationData, b)
		if err != nil {
			w.t.Fatal(err)
		}
		w.f.Receive(w.now, a.to, sealed)
	}
	w.gw.answers = w.gw.answers[:0]
}

// guarded are sleepers that speak DTLS, and have another address every hour.
func guarded(count int, cid bool) *Plan {
	p := sleepers(count)
	p.Groups[0].DTLS = &DTLS{Identity: "%c", CID: cid}
	p.Groups[0].Radio.NAT = radio.NAT{Every: time.Hour}
	return p
}

// TestOneHandshake: who knows connection ids does one, and nothing is lost
// whatever its address. What is on the air is longer by what sealing adds.
func TestOneHandshake(t *testing.T) {
	p := guarded(5, true)
	w := newFortress(t, p)
	w.until(p.Duration() + p.Settle)
	w.f.Close(w.now)
	s := w.stats()
	if s.Handshakes != 5 || s.HandshakesAgain != 0 || s.HandshakesFailed != 0 || s.Rebindings < 20 {
		t.Errorf("%d handshakes, %d again, %d failed, %d rebindings; want one of each of 5, and many rebindings",
			s.Handshakes, s.HandshakesAgain, s.HandshakesFailed, s.Rebindings)
	}
	if u := s.Ledger.Uplink; u.Sent != 5*24 || u.Received != u.Sent {
		t.Errorf("%+v; want 4 reports an hour of each", u)
	}
	if d := s.Ledger.Downlink; d.Published != 5*12 || d.Delivered != d.Published {
		t.Errorf("%+v; want 2 commands an hour for each, all delivered", d)
	}
	if n := w.f.Broken(); n != 0 || w.records != 0 {
		t.Errorf("%d invariants are broken, %d records are nobody's", n, w.records)
	}
	records := s.Up.Datagrams - s.Up.Handshake.Datagrams
	if s.Up.Handshake.Octets != 5*uint64(len(hello)) || s.Up.Sealing != 38*records {
		t.Errorf("up: %d octets of handshakes, %d of sealing %d datagrams; want %d and 38 for each",
			s.Up.Handshake.Octets, s.Up.Sealing, records, 5*len(hello))
	}
	if records = s.Down.Datagrams - s.Down.Handshake.Datagrams; s.Down.Sealing != 29*records {
		t.Errorf("down: %d octets of sealing %d datagrams; want 29 for each", s.Down.Sealing, records)
	}
}

// TestHandshakeAtEachWake is who knows no connection ids.
func TestHandshakeAtEachWake(t *testing.T) {
	p := guarded(5, false)
	w := newFortress(t, p)
	w.until(p.Duration() + p.Settle)
	w.f.Close(w.now)
	s := w.stats()
	// Once it is asleep it wakes to poll, or to report and poll.
	if s.HandshakesAgain < s.Wakes*8/10 || s.HandshakesAgain != s.Handshakes-5 {
		t.Errorf("%d handshakes, %d of them again, in %d wakes; want one at each", s.Handshakes, s.HandshakesAgain, s.Wakes)
	}
	if u := s.Ledger.Uplink; u.Sent != 5*24 || u.Received != u.Sent {
		t.Errorf("%+v; want 4 reports an hour of each", u)
	}
	if n := w.f.Broken(); n != 0 {
		t.Errorf("%d invariants are broken", n)
	}
}

// TestHandshakeAgain: who gets no answer, or has lost its power, does another
// handshake; and who gets no handshake tries again later.
func TestHandshakeAgain(t *testing.T) {
	p := guarded(1, true)
	p.Groups[0].Radio.NAT = radio.NAT{}
	w := newFortress(t, p)
	w.refuses = true
	w.until(10 * time.Minute)
	s := w.stats()
	if s.HandshakesFailed < 2 || s.HandshakesFailed > 40 || s.Handshakes != 0 || s.Up.Datagrams != s.Up.Handshake.Datagrams {
		t.Errorf("%d failed, %d done, %d datagrams, %d of handshakes; want a few that fail, and nothing said",
			s.HandshakesFailed, s.Handshakes, s.Up.Datagrams, s.Up.Handshake.Datagrams)
	}
	w.refuses = false
	w.until(time.Hour)
	if s := w.stats(); s.Handshakes != 1 || s.States[client.Asleep] != 1 {
		t.Errorf("%d handshakes, states %v; want one, and a sleeper", s.Handshakes, s.States)
	}
	clear(w.byID) // the gateway forgets
	clear(w.byPlace)
	w.until(2 * time.Hour)
	if s := w.stats(); s.HandshakesAgain != 1 || s.States[client.Asleep] != 1 {
		t.Errorf("%d handshakes again, states %v; want one, and a sleeper", s.HandshakesAgain, s.States)
	}
	w.f.powerOff(0, w.now, w.now.Add(time.Minute))
	w.f.settle(0, w.now)
	w.until(3 * time.Hour)
	if s := w.stats(); s.HandshakesAgain != 2 || s.States[client.Asleep] != 1 {
		t.Errorf("%d handshakes again, states %v; want two, and a sleeper", s.HandshakesAgain, s.States)
	}
}
