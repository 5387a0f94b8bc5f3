package dtls

import (
	"errors"
	"slices"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// An inbound is what becomes of one batch.
type inbound struct {
	l    *Listener
	now  clock.Time
	sink func([]transport.Datagram)

	plain   []transport.Datagram
	octets  []byte // of plain
	touched []touched
	replies []transport.Datagram
}

func (l *Listener) receive(batch []transport.Datagram, sink func([]transport.Datagram)) {
	in := l.inbounds.Get().(*inbound)
	in.now, in.sink = l.cfg.Clock(), sink
	for _, d := range batch {
		in.hear(d)
	}
	if len(in.replies) > 0 {
		l.under.Send(in.replies) // best effort
	}
	in.pass(in.keep())
	l.inbounds.Put(in)
}

// keep hands the Keeper what is to be kept before anything is done.
func (in *inbound) keep() error {
	if in.l.cfg.Keeper == nil || len(in.touched) == 0 {
		return nil
	}
	return in.l.keep(slices.Clone(in.touched), func() {})
}

// pass passes on what was received, unless it cannot be kept that it was.
func (in *inbound) pass(err error) {
	switch {
	case err != nil:
		in.l.count.dropped[notKept].Add(uint64(len(in.plain)))
	case len(in.plain) > 0:
		in.sink(in.plain)
	}
	clear(in.plain)
	clear(in.replies)
	in.plain, in.replies, in.octets, in.touched = in.plain[:0], in.replies[:0], in.octets[:0], in.touched[:0]
	in.sink = nil
}

// hear looks at one datagram: by its first record it goes one way or another.
func (in *inbound) hear(d transport.Datagram) {
	l := in.l
	r, _, err := record.Next(d.Buf, record.IDLength)
	switch {
	case d.Multicast || badSource(d.Peer):
		l.count.dropped[stray].Add(1)
	case err != nil:
		l.drop(err)
	case r.Type == record.CID:
		if !in.open(keyOfID(record.ID(r.CID)), d, func(p *part) int32 { return p.withID(record.ID(r.CID)) }) {
			l.drop(record.ErrCID)
		}
	case r.Epoch == 0:
		if answer := l.door.hear(in.now, d, r); answer != nil {
			to := transport.Peer{Addr: d.Peer.Addr, Local: d.Peer.Local}
			in.replies = append(in.replies, transport.Datagram{Peer: to, Buf: answer})
		}
	case r.Epoch == 1:
		from := l.placeOf(d.Peer)
		k := l.keyOfPlace(from)
		if !in.open(k, d, func(p *part) int32 { return p.atPlace(k.hash, from) }) {
			l.count.dropped[stray].Add(1)
		}
	default:
		l.drop(record.ErrEpoch)
	}
}

// open has the association that find finds open a datagram. What it cannot
// open may be for a handshake: it goes there as it came. False means that
// there is neither.
func (in *inbound) open(k key, d transport.Datagram, find func(*part) int32) bool {
	p := &in.l.parts[k.part]
	shaking := in.l.door.at(d.Peer.Addr)
	p.mu.Lock()
	slot := find(p)
	if slot == none {
		p.mu.Unlock()
		return shaking != nil && shaking.deliver(d.Buf)
	}
	octets := d.Buf
	if a := p.at(slot); shaking != nil || a.pending {
		p.scratch = append(p.scratch[:0], octets...)
		octets = p.scratch
	}
	done := in.records(p, slot, d, octets, shaking == nil)
	p.mu.Unlock()
	if !done && shaking != nil {
		shaking.deliver(d.Buf)
	}
	return true
}

// records opens the records of a datagram, and reports whether one of them was
// not of a handshake. What cannot be opened is counted if it goes nowhere else.
func (in *inbound) records(p *part, slot int32, d transport.Datagram, octets []byte, last bool) (done bool) {
	l, a := in.l, p.at(slot)
	from := l.placeOf(d.Peer)
	if l.cfg.Stay && a.place != from {
		l.count.dropped[moved].Add(1)
		return true
	}
	number, id := a.number, a.ID
	located := false
	for len(octets) > 0 && a.number == number {
		r, rest, err := record.Next(octets, record.IDLength)
		if err != nil {
			l.drop(err)
			break
		}
		octets = rest
		got, err := a.Open(p.ciphers(slot), r)
		if err != nil {
			if last {
				l.drop(err)
			}
			continue
		}
		a.seen = seconds(in.now)
		if got.Newest && means(got) && !located { // a datagram proves nothing twice
			located = true
			if a.locate(from, len(d.Buf)) {
				l.count.moves.Add(1)
			}
		}
		switch got.Type {
		case record.ApplicationData:
			done = true
			if a.pending {
				a.pending = false
				l.door.settle(id)
			}
			in.take(l.peer(a.place, number), got.Octets)
		case record.Alert:
			done = true
			in.alert(p, slot, got.Octets)
		case record.Handshake:
			if last && !a.pending {
				l.drop(record.ErrType)
			}
		default:
			done = true
			l.drop(record.ErrType)
		}
	}
	if done {
		in.touch(touched{number: number, id: id})
	}
	return done
}

// means reports whether a record is of what only an association has. One of the
// handshake, which pion has had, is new to the association and to nobody else:
// whoever has recorded it could send it from anywhere.
func means(got record.Content) bool {
	return got.Type == record.ApplicationData || got.Type == record.Alert
}

// touch notes that something of an association is to be kept; once, if several
// datagrams of it follow each other.
func (in *inbound) touch(t touched) {
	if n := len(in.touched); n > 0 && in.touched[n-1] == t {
		return
	}
	in.touched = append(in.touched, t)
}

// take puts a datagram aside until the Keeper has been told.
func (in *inbound) take(from transport.Peer, octets []byte) {
	in.l.count.opened.Add(1)
	if len(octets) == 0 {
		return // RFC 5246 §6.2.1: it may be sent, and says nothing
	}
	start := len(in.octets)
	in.octets = append(in.octets, octets...)
	octets = in.octets[start:len(in.octets):len(in.octets)]
	in.plain = append(in.plain, transport.Datagram{Peer: from, Buf: octets})
}

// alert takes in an alert, RFC 5246 §7.2. A warning means nothing, but for
// close_notify, which is answered.
func (in *inbound) alert(p *part, slot int32, alert []byte) {
	const fatal, closeNotify = 2, 0
	switch {
	case len(alert) != 2:
		in.l.drop(record.ErrTruncated)
	case alert[1] == closeNotify:
		in.farewell(p, slot)
		in.l.leave(p, slot, Closed)
	case alert[0] == fatal:
		in.l.leave(p, slot, Alerted)
	}
}

// closeNotify is the alert that ends an association well.
var closeNotify = []byte{1, 0}

// farewell says close_notify, if the numbers reserved allow it.
func (in *inbound) farewell(p *part, slot int32) {
	a := p.at(slot)
	b, err := a.Seal(p.ciphers(slot), nil, record.Alert, closeNotify)
	if err == nil && a.affords(len(b)) {
		to := in.l.peer(a.place, 0)
		in.replies = append(in.replies, transport.Datagram{Peer: to, Buf: b})
	}
}

// drop counts a datagram, or a part of one, that is not for anybody.
func (l *Listener) drop(err error) {
	for i, why := range dropErrors {
		if errors.Is(err, why) {
			l.count.dropped[i].Add(1)
			return
		}
	}
}
