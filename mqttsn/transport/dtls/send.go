package dtls

import (
	"errors"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// An outbound is what is sent of one batch.
type outbound struct {
	sealed []transport.Datagram
	octets []byte
	short  []transport.Datagram // no number was left for them
	ended  []record.ID
}

// maxWaiting bounds what waits for the Keeper before it is sent, in octets of
// memory, of which each datagram takes waitingSize before it says anything.
const (
	maxWaiting  = 4 << 20
	waitingSize = 96
)

// Send seals each datagram for the association that Peer.Conn numbers, and
// sends it to where that is by now. One that cannot be is dropped and counted.
// What the Keeper is to answer first waits for that.
func (l *Listener) Send(batch []transport.Datagram) error { return l.send(batch, false) }

// send is Send. waited says that the Keeper has answered.
func (l *Listener) send(batch []transport.Datagram, waited bool) error {
	out := l.outbounds.Get().(*outbound)
	defer func() {
		clear(out.sealed)
		clear(out.short)
		out.sealed, out.octets, out.short, out.ended = out.sealed[:0], out.octets[:0], out.short[:0], out.ended[:0]
		l.outbounds.Put(out)
	}()
	for _, d := range batch {
		l.seal(out, d, waited)
	}
	l.keepEnded(out.ended...)
	for _, d := range out.short {
		l.sendReserved(d)
	}
	if len(out.sealed) == 0 {
		return nil
	}
	return l.under.Send(out.sealed)
}

// seal puts a datagram into out.
func (l *Listener) seal(out *outbound, d transport.Datagram, waited bool) {
	p := &l.parts[d.Peer.Conn%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := p.withNumber(d.Peer.Conn)
	if slot == none {
		l.count.unsent[gone].Add(1)
		return
	}
	if turn, unkept := p.unkept[d.Peer.Conn]; unkept && !waited {
		if l.waits(&d) {
			p.held[turn] = append(p.held[turn], d)
		}
		return
	}
	a := p.at(slot)
	if !a.affords(a.Overhead() + len(d.Buf)) {
		l.count.unsent[unproven].Add(1)
		return
	}
	err := l.put(out, p, slot, record.ApplicationData, d.Buf)
	switch {
	case err == nil:
		l.count.sealed.Add(1)
	case errors.Is(err, record.ErrUnreserved):
		out.short = append(out.short, d)
	case errors.Is(err, record.ErrExhausted):
		l.put(out, p, slot, record.Alert, closeNotify) // with the last number; if it is not reserved, without
		out.ended = append(out.ended, a.ID)
		l.leave(p, slot, Exhausted)
	}
}

// put seals a record and puts it into out.
func (l *Listener) put(out *outbound, p *part, slot int32, t record.ContentType, octets []byte) error {
	a, start := p.at(slot), len(out.octets)
	b, err := a.Seal(p.ciphers(slot), out.octets, t, octets)
	if err != nil {
		return err
	}
	out.octets = b
	to := l.peer(a.place, 0)
	out.sealed = append(out.sealed, transport.Datagram{Peer: to, Buf: b[start:len(b):len(b)]})
	return nil
}

// waits gives d a buffer of its own, and reports whether there is room for it, and
// something to wait for.
func (l *Listener) waits(d *transport.Datagram) bool {
	if n := waitingSize + int64(len(d.Buf)); l.waiting.Add(n) > maxWaiting || l.failed.Load() {
		l.waiting.Add(-n)
		l.count.unsent[unkept].Add(1)
		return false
	}
	d.Buf = append([]byte(nil), d.Buf...)
	return true
}

// sendWaited sends what has waited.
func (l *Listener) sendWaited(batch []transport.Datagram) {
	if len(batch) == 0 {
		return
	}
	for _, d := range batch {
		l.waiting.Add(-waitingSize - int64(len(d.Buf)))
	}
	l.send(batch, true) // best effort
}

// sendReserved sends a datagram once numbers are reserved: after a restart, or
// many without an answer.
func (l *Listener) sendReserved(d transport.Datagram) {
	if !l.waits(&d) {
		return
	}
	send := []transport.Datagram{d}
	if err := l.keep([]touched{{number: d.Peer.Conn}}, func() { l.sendWaited(send) }); err != nil {
		l.waiting.Add(-waitingSize - int64(len(d.Buf)))
		l.count.unsent[unkept].Add(1)
	}
}

// release lets the numbers be used that a turn of the Keeper has reserved, which
// is over, and returns what has waited for it: of all in the same part, so that it
// is to be sent when all are released.
func (l *Listener) release(t *touched, turn uint64) (held []transport.Datagram) {
	p := &l.parts[t.number%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unkept[t.number] == turn {
		delete(p.unkept, t.number)
	}
	held = p.held[turn]
	delete(p.held, turn)
	if slot := p.withNumber(t.number); slot != none {
		p.at(slot).reserved(t.upTo)
	}
	return held
}
