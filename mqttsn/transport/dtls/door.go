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
// which the last flight may have been lost. Whoever sends under false addresses
// has none: nothing is kept of a peer that has not sent back a cookie.
type door struct {
	l         *Listener
	cookies   *handshake.Cookies
	rate      *limit.Limiter
	perPrefix *limit.Limiter
	suspects  *limit.Limiter
	perFoul   *limit.Limiter
	failures  [networks]atomic.Uint32 // by the hash of a network, or host: when a handshake failed last, in seconds
	running   sync.WaitGroup
	busy      atomic.Int64 // len(byAddr)
	opened    atomic.Bool  // ctx is there

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
	hashes [2]uint64 // of prefix, and of the host
	hello  [32]byte  // the Random of its ClientHello
	basis  *basis
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

const networks = 1 << 12 // that are told apart

func newDoor(l *Listener) *door {
	return &door{
		l:         l,
		cookies:   handshake.NewCookies(),
		rate:      limit.New(1, l.cfg.Rate),
		perPrefix: limit.New(networks, l.cfg.RatePerPrefix),
		suspects:  limit.New(1, l.cfg.Rate/2),
		perFoul:   limit.New(networks, l.cfg.RatePerPrefix/8),
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
	d.opened.Store(true)
}

// close waits for the handshakes to end, whose context is cancelled.
func (d *door) close() {
	d.mu.Lock()
	d.ctx = nil
	d.opened.Store(false)
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

// hear takes in a datagram that begins with a record of epoch 0, and returns
// what is to be answered by us: a ClientHello without a cookie is asked for one,
// and that is all.
func (d *door) hear(now clock.Time, in transport.Datagram, r record.Record) (answer []byte) {
	s := d.at(in.Peer.Addr)
	if !handshake.IsHello(r) {
		if s == nil {
			d.l.count.dropped[stray].Add(1)
			return nil
		}
		s.deliver(in.Buf)
		return nil
	}
	hello, err := handshake.ReadHello(in.Buf)
	switch {
	case err != nil:
		d.l.count.dropped[stray].Add(1)
	case !d.opened.Load():
	case !d.cookies.Fits(hello, in.Peer.Addr, now):
		if answer, err = d.cookies.Ask(hello, in.Peer.Addr, now); err == nil {
			d.l.count.asked.Add(1)
			d.l.count.handshakeOctets.Add(uint64(len(answer)))
		}
	case s != nil && s.hello == hello.Random:
		s.deliver(in.Buf)
	default:
		d.admit(now, in, hello)
	}
	return answer
}

// admit begins a handshake, if there may be another: in place of one with the
// same peer, which has begun anew.
func (d *door) admit(now clock.Time, in transport.Datagram, hello *handshake.Hello) {
	from, count := in.Peer.Addr, &d.l.count
	prefix := d.prefix(from.Addr())
	hash, host := limit.HashAddr(d.l.cfg.Seed, prefix.Addr()), limit.HashAddr(d.l.cfg.Seed+1, from.Addr())
	local := from.Addr().IsLoopback()
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ctx == nil:
		return
	case !local && d.suspect(now, host) && !d.perFoul.Allow(now, host):
		count.refused[rateOfSuspects].Add(1)
		return
	case !local && !d.perPrefix.Allow(now, hash):
		count.refused[rateOfPrefix].Add(1)
		return
	case !local && d.suspect(now, hash) && !d.suspects.Allow(now, 0):
		count.refused[rateOfSuspects].Add(1)
		return
	case !local && !d.rate.Allow(now, 0):
		count.refused[rateOfAll].Add(1)
		return
	}
	if s := d.byAddr[from]; s != nil {
		d.end(s, errAnew)
	}
	d.makeRoom(prefix, local)

	id := newID()
	to := transport.Peer{Addr: from, Local: in.Peer.Local}
	basis := d.l.credentials.Load()
	shake, err := handshake.New(basis.Credentials, hello, id, from, func(b []byte) {
		count.handshakeOctets.Add(uint64(len(b)))
		d.l.under.Send([]transport.Datagram{{Peer: to, Buf: b}})
	})
	if err != nil {
		count.failed[failedOtherwise].Add(1)
		return
	}
	s := &shaking{id: id, peer: to, prefix: prefix, hashes: [2]uint64{hash, host}, hello: hello.Random, basis: basis, shake: shake}
	var ctx context.Context
	ctx, s.cancel = context.WithCancelCause(d.ctx)
	s.place = d.order.PushBack(s)
	d.byAddr[from], d.byID[id] = s, s
	d.busy.Add(1)
	count.begun.Add(1)
	d.running.Go(func() { d.run(ctx, s) })
}

// suspect reports whether a handshake with a network, or a host, of that hash
// has failed in the last minute, and none was done since. All such networks
// together may have half of the handshakes, and such a host an eighth of those of
// its network: what the sensors of others need is there then, however many keys
// somebody tries, and from wherever.
func (d *door) suspect(now clock.Time, hash uint64) bool {
	failed := d.failures[hash%networks].Load()
	return failed != 0 && seconds(now)-failed < 60
}

// note notes when a handshake as s has failed, or 0.
func (d *door) note(s *shaking, failed uint32) {
	for _, hash := range s.hashes {
		d.failures[hash%networks].Store(failed)
	}
}

// makeRoom ends the oldest handshake that stands in the way of another: of the
// same network, or one that is done.
func (d *door) makeRoom(prefix netip.Prefix, local bool) {
	var firstOfPrefix, firstDone *shaking
	ofPrefix := 0
	for e := d.order.Front(); e != nil; e = e.Next() {
		s := e.Value.(*shaking)
		if s.prefix == prefix {
			if ofPrefix++; firstOfPrefix == nil {
				firstOfPrefix = s
			}
		}
		if s.done && firstDone == nil {
			firstDone = s
		}
	}
	switch {
	case !local && ofPrefix >= d.l.cfg.HandshakesPerPrefix:
		d.end(firstOfPrefix, errEvicted)
	case d.order.Len() < d.l.cfg.MaxHandshakes:
	case firstDone != nil:
		d.end(firstDone, errEvicted)
	default:
		d.end(d.order.Front().Value.(*shaking), errEvicted)
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
		err = d.l.welcome(ctx, s, agreed)
	}
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		if d.l.count.fail(err) {
			d.note(s, max(1, seconds(d.l.cfg.Clock())))
			if d.l.cfg.Failed != nil {
				d.l.cfg.Failed(s.peer.Addr, err)
			}
		}
		return
	}
	d.note(s, 0)
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
// will find it; unless ctx ends before it is kept, as when the peer begins anew.
func (l *Listener) welcome(ctx context.Context, s *shaking, agreed *handshake.Agreement) error {
	a := association{Association: agreed.Association, place: l.placeOf(s.peer), pending: true, seen: seconds(l.cfg.Clock())}
	name, w := "", warrant{}
	switch {
	case agreed.PSKIdentity != nil:
		a.proof, name = transport.ByKey, string(agreed.PSKIdentity)
	case agreed.Certificate != nil:
		a.proof, name, w = transport.ByCertificate, l.cfg.Name(agreed.Certificate), warrantOf(agreed.Chain)
		if name == "" {
			return errNameless
		}
	}
	on, _ := s.basis.on(a.proof, name, w)
	gone := l.vacate(&a)
	if err := l.keepMade(&a, l.appendMade(nil, &a, name, w, on), gone); err != nil {
		l.keepEnded(gone...)
		return err
	}
	if ctx.Err() != nil {
		l.keepEnded(a.ID)
		return context.Cause(ctx)
	}
	number, err := l.enter(a, name, w)
	if err != nil {
		l.keepEnded(a.ID)
		return err
	}
	if now := l.credentials.Load(); now != s.basis { // they have changed meanwhile
		l.recheck(s.basis, now, func(a *association) bool { return a.number == number })
	}
	return nil
}
