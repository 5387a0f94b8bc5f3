package dtls

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A door lets peers in: it has the handshakes in progress, and those done of
// which the last flight may have been lost. Each costs much until its peer has
// sent back pion's cookie, so that whoever sends under false addresses can have
// some of them only, and none of the others.
type door struct {
	l         *Listener
	rate      *limit.Limiter
	perPrefix *limit.Limiter
	running   sync.WaitGroup
	busy      atomic.Int64 // len(byAddr)

	mu     sync.Mutex
	ctx    context.Context // nil: closed
	byAddr map[netip.AddrPort]*shaking
	byID   map[record.ID]*shaking
	order  *list.List // of *shaking, the oldest first
}

// A shaking is a handshake, in progress or done.
type shaking struct {
	id     record.ID
	peer   transport.Peer
	prefix netip.Prefix
	hello  [32]byte // the Random of its ClientHello
	shake  *handshake.Handshake
	cancel context.CancelCauseFunc
	place  *list.Element
	done   bool // under door.mu
}

// Why a handshake came to nothing, beside what pion says.
var (
	errEvicted  = errors.New("dtls: another handshake took its place")
	errTooMuch  = errors.New("dtls: the peer has sent more than a handshake takes")
	errAnew     = errors.New("dtls: the peer has begun anew")
	errNameless = errors.New("dtls: the certificate names nobody")
	errSettled  = errors.New("dtls: the peer has the last flight") // it has not failed
)

func newDoor(l *Listener) *door {
	const networks = 1 << 12
	return &door{
		l:         l,
		rate:      limit.New(1, l.cfg.Rate),
		perPrefix: limit.New(networks, l.cfg.RatePerPrefix),
		byAddr:    make(map[netip.AddrPort]*shaking),
		byID:      make(map[record.ID]*shaking),
		order:     list.New(),
	}
}

// open lets handshakes begin, which end with ctx.
func (d *door) open(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx = ctx
}

// close waits for the handshakes to end, whose context is cancelled.
func (d *door) close() {
	d.mu.Lock()
	d.ctx = nil
	d.mu.Unlock()
	d.running.Wait()
}

// at returns the handshake with the peer at an address.
func (d *door) at(from netip.AddrPort) *shaking {
	if d.busy.Load() == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byAddr[from]
}

func (s *shaking) deliver(b []byte) bool {
	if !s.shake.Deliver(b) {
		s.cancel(errTooMuch)
	}
	return true
}

// hello is where the Random of a ClientHello is, in the datagram, RFC 6347
// §4.2: after the headers of the record and the message, and client_version.
const (
	clientHello = 1
	randomAt    = 13 + 12 + 2
)

// hear takes in a datagram that begins with a record of epoch 0.
func (d *door) hear(now clock.Time, in transport.Datagram, r record.Record) {
	isHello := r.Type == record.Handshake && len(in.Buf) >= randomAt+32 && in.Buf[13] == clientHello
	s := d.at(in.Peer.Addr)
	if s != nil && !(isHello && d.startsAnew(s, in.Buf)) {
		s.deliver(in.Buf)
		return
	}
	if !isHello {
		d.l.count.dropped[stray].Add(1)
		return
	}
	if s = d.admit(now, in); s != nil {
		s.deliver(in.Buf)
	}
}

// startsAnew reports whether a ClientHello from the address of s is of another
// handshake, and ends s for it. One in progress is not ended, once its peer is
// known to be there: anybody could do so.
func (d *door) startsAnew(s *shaking, hello []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.hello == [32]byte(hello[randomAt:]) || !s.done && s.shake.Verified() {
		return false
	}
	d.end(s, errAnew)
	return true
}

// admit begins a handshake, if there may be another.
func (d *door) admit(now clock.Time, in transport.Datagram) *shaking {
	from, count := in.Peer.Addr, &d.l.count
	prefix := d.prefix(from.Addr())
	local := from.Addr().IsLoopback()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ctx == nil:
		return nil
	case !local && !d.perPrefix.Allow(now, limit.HashAddr(d.l.cfg.Seed, prefix.Addr())):
		count.refused[rateOfPrefix].Add(1)
		return nil
	case !local && !d.rate.Allow(now, 0):
		count.refused[rateOfAll].Add(1)
		return nil
	}
	d.makeRoom(prefix, local)

	id := newID()
	to := transport.Peer{Addr: from, Local: in.Peer.Local}
	shake, err := handshake.New(d.l.credentials.Load(), id, from, func(b []byte) {
		count.handshakeOctets.Add(uint64(len(b)))
		d.l.under.Send([]transport.Datagram{{Peer: to, Buf: b}})
	})
	if err != nil {
		count.failed[failedOtherwise].Add(1)
		return nil
	}
	s := &shaking{id: id, peer: to, prefix: prefix, hello: [32]byte(in.Buf[randomAt:]), shake: shake}
	var ctx context.Context
	ctx, s.cancel = context.WithCancelCause(d.ctx)
	s.place = d.order.PushBack(s)
	d.byAddr[from], d.byID[id] = s, s
	d.busy.Add(1)
	count.begun.Add(1)
	d.running.Go(func() { d.run(ctx, s) })
	return s
}

// makeRoom ends the oldest handshakes that stand in the way of another.
func (d *door) makeRoom(prefix netip.Prefix, local bool) {
	var first, firstOfPrefix, firstUnverified, firstDone *shaking
	ofPrefix, unverified := 0, 0
	note := func(first **shaking, s *shaking) {
		if *first == nil {
			*first = s
		}
	}
	for e := d.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(*shaking)
		note(&first, s)
		if s.prefix == prefix {
			note(&firstOfPrefix, s)
			ofPrefix++
		}
		switch {
		case s.done:
			note(&firstDone, s)
		case !s.shake.Verified():
			note(&firstUnverified, s)
			unverified++
		}
	}
	switch {
	case !local && ofPrefix >= d.l.cfg.HandshakesPerPrefix:
		d.end(firstOfPrefix, errEvicted)
	case unverified >= d.l.cfg.MaxHandshakes/4:
		d.end(firstUnverified, errEvicted)
	case d.order.Len() < d.l.cfg.MaxHandshakes:
	case firstDone != nil:
		d.end(firstDone, errEvicted)
	default:
		d.end(first, errEvicted)
	}
}

// prefix is the network of an address.
func (d *door) prefix(a netip.Addr) netip.Prefix {
	bits := d.l.cfg.PrefixV6
	if a.Is4() {
		bits = d.l.cfg.PrefixV4
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all
	}
	return p
}

// end takes s out. Its goroutine sees to the rest.
func (d *door) end(s *shaking, why error) {
	if d.byID[s.id] != s {
		return // it has ended already
	}
	delete(d.byID, s.id)
	delete(d.byAddr, s.peer.Addr)
	d.order.Remove(s.place)
	d.busy.Add(-1)
	s.cancel(why)
}

// settle ends a handshake whose peer has the last flight.
func (d *door) settle(id record.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.byID[id]; s != nil {
		d.end(s, errSettled)
	}
}

// run does a handshake, and then stands by to repeat the last flight.
func (d *door) run(ctx context.Context, s *shaking) {
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.end(s, nil)
	}()
	agreed, err := s.shake.Run(ctx, d.l.cfg.HandshakeTimeout)
	if err == nil {
		defer s.shake.Forget()
		err = d.l.welcome(s, agreed)
	}
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		d.l.count.fail(err)
		return
	}
	d.mu.Lock()
	s.done = true
	d.mu.Unlock()
	d.l.count.done.Add(1)
	s.shake.Release()
	repeat := time.NewTimer(d.l.cfg.HandshakeTimeout)
	defer repeat.Stop()
	select {
	case <-ctx.Done():
	case <-repeat.C:
	}
}

// welcome makes an association of what a handshake came to, where its records
// will find it.
func (l *Listener) welcome(s *shaking, agreed *handshake.Agreement) error {
	a := association{Association: agreed.Association, place: l.placeOf(s.peer), pending: true, seen: seconds(l.cfg.Clock())}
	name := ""
	switch {
	case agreed.PSKIdentity != nil:
		a.proof, name = transport.ByKey, string(agreed.PSKIdentity)
	case agreed.Certificate != nil:
		a.proof, name = transport.ByCertificate, l.cfg.Name(agreed.Certificate)
		if name == "" {
			return errNameless
		}
	}
	if err := l.keepMade(&a, name, l.vacate(&a)); err != nil {
		return err
	}
	_, err := l.enter(a, name)
	if err != nil {
		l.keepEnded(a.ID)
	}
	return err
}
