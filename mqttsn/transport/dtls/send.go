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

// maxWaiting bounds the datagrams that wait for numbers to be reserved.
const maxWaiting = 1024

// Send seals each datagram for the association that Peer.Conn numbers, and
// sends it to where that is by now. One that cannot be is dropped and counted.
func (l *Listener) Send(batch []transport.Datagram) error {
	out := l.outbounds.Get().(*outbound)
	defer func() {
		clear(out.sealed)
		clear(out.short)
		out.sealed, out.octets, out.short, out.ended = out.sealed[:0], out.octets[:0], out.short[:0], out.ended[:0]
		l.outbounds.Put(out)
	}()
	for _, d := range batch {
		l.seal(out, d)
	}
	l.keepEnded(out.ended...)
	for _, d := range out.short {
		l.sendLater(d)
	}
	if len(out.sealed) == 0 {
		return nil
	}
	return l.under.Send(out.sealed)
}

// seal puts a datagram into out.
func (l *Listener) seal(out *outbound, d transport.Datagram) {
	p := &l.parts[d.Peer.Conn%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := p.withNumber(d.Peer.Conn)
	if slot == none {
		l.count.unsent[gone].Add(1)
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

// sendLater sends a datagram once numbers are reserved: after a restart, or
// many without an answer.
func (l *Listener) sendLater(d transport.Datagram) {
	if l.waiting.Add(1) > maxWaiting {
		l.waiting.Add(-1)
		l.count.unsent[unreserved].Add(1)
		return
	}
	d.Buf = append([]byte(nil), d.Buf...)
	l.keep([]touched{{number: d.Peer.Conn}}, func(err error) {
		defer l.waiting.Add(-1)
		if err != nil {
			l.count.unsent[unreserved].Add(1)
			return
		}
		out := new(outbound)
		l.seal(out, d)
		if len(out.short) > 0 {
			l.count.unsent[unreserved].Add(1)
		}
		if len(out.sealed) > 0 {
			l.under.Send(out.sealed) // best effort
		}
	})
}
