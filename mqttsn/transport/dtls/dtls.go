// Package dtls is the secured [transport.Transport]: DTLS 1.2 (RFC 6347) with
// Connection IDs (RFC 9146) over another transport.
//
// What comes in goes one of three ways, hear.go: a record with a connection id
// of ours to its association; one of epoch 1 from the address of an
// association that has none to that; all else to the handshakes, door.go,
// which pion does, and of which there are only so many.
//
// When a handshake is done pion is let go, and what remains of the peer is an
// association: 136 octets in a table without pointers, table.go, and no
// goroutine and no timer. Package record opens and seals for it. It is named
// by its connection id, so that a sensor that wakes behind another address
// needs no handshake; its answers follow, address.go. With a [Keeper] it also
// outlives the process, keeper.go and kept.go.
//
// A peer has the same Peer.Conn for as long as its association lasts, and
// Peer.Addr is where it was last.
package dtls

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// A Listener is a secured transport over another. Use [New].
type Listener struct {
	cfg         Config
	under       transport.Transport
	credentials atomic.Pointer[basis]
	warrants    warrants
	since       uint32 // Unix time less the clock's, in seconds
	count       counters

	parts [parts]part
	zones zones
	door  *door

	restored atomic.Pointer[map[record.ID]uint32] // numbers, between Load and Serve

	keepOrder  sync.Mutex     // held from when changes are encoded until the Keeper has them
	stopped    bool           // it is asked nothing any more, under keepOrder
	turn       uint64         // of asking it, under keepOrder
	keeping    sync.WaitGroup // what the Keeper has not answered
	unanswered atomic.Int64   // as many
	waiting    atomic.Int64   // octets to send that wait for that
	failed     atomic.Bool    // it keeps nothing any more
	inbounds   sync.Pool
	outbounds  sync.Pool
}

var (
	_ transport.Transport  = (*Listener)(nil)
	_ transport.Locals     = (*Listener)(nil)
	_ transport.Identities = (*Listener)(nil)
	_ transport.Lasting    = (*Listener)(nil)
)

// New returns a listener on under, whose datagrams must be allowed to have at
// least [MinDatagram] octets. c must be valid, and credentials be enough for
// one cipher suite.
func New(c Config, credentials *handshake.Credentials, under transport.Transport) (*Listener, error) {
	if err := handshake.Check(); err != nil {
		return nil, err
	}
	l := &Listener{cfg: c, under: under, since: uint32(time.Now().Unix()) - seconds(c.Clock())}
	if len(c.Secret) == 0 {
		l.cfg.Secret = make([]byte, 32)
		rand.Read(l.cfg.Secret)
	}
	l.door = newDoor(l)
	l.inbounds.New = func() any { return &inbound{l: l} }
	l.outbounds.New = func() any { return new(outbound) }
	for i := range l.parts {
		l.parts[i].which = uint32(i)
		l.parts[i].unkept, l.parts[i].held = make(map[uint32]uint64), make(map[uint64][]transport.Datagram)
	}
	return l, l.SetCredentials(credentials)
}

// MinDatagram is the length in octets of the longest datagram that a handshake
// may need.
const MinDatagram = 2048

// MaxOverhead is by how many octets at most a record with a connection id is
// longer than what is in it: header, id, explicit nonce, inner type and tag. A
// peer that pads its records has less room.
const MaxOverhead = 13 + record.IDLength + 8 + 1 + 16

// SetCredentials has handshakes that begin from now on use others. It ends the
// associations that rest on a key that is another then, or on an authority that
// is none any more, without a word to the peers. All others stay.
func (l *Listener) SetCredentials(c *handshake.Credentials) error {
	if c.PSK == nil && c.Certificate == nil {
		return errors.New("dtls: there are neither pre-shared keys nor a certificate; give one of them")
	}
	if c.Certificate != nil {
		if _, ok := c.Certificate.PrivateKey.(*ecdsa.PrivateKey); !ok {
			return fmt.Errorf("dtls: the certificate has a key of type %T; sensors need one of ECDSA", c.Certificate.PrivateKey)
		}
	}
	after := newBasis(c)
	if before := l.credentials.Swap(after); before != nil {
		l.recheck(before, after, func(*association) bool { return true })
	}
	return nil
}

// Serve passes on what associations receive, with the peer at its present
// address, and does handshakes. It ends them when ctx is cancelled.
func (l *Listener) Serve(ctx context.Context, sink func(batch []transport.Datagram)) error {
	l.restored.Store(nil)
	ctx, cancel := context.WithCancel(ctx)
	var sweeper sync.WaitGroup
	sweeper.Go(func() { l.sweepUntil(ctx.Done()) })
	l.door.open(ctx)
	err := l.under.Serve(ctx, func(batch []transport.Datagram) { l.receive(batch, sink) })
	cancel()
	sweeper.Wait()
	l.door.close()
	l.stopKeeping()
	return err
}

// LocalAddr and LocalNumber are those of the transport below.
func (l *Listener) LocalAddr(n uint32) netip.Addr {
	if locals, ok := l.under.(transport.Locals); ok {
		return locals.LocalAddr(n)
	}
	return netip.Addr{}
}

func (l *Listener) LocalNumber(a netip.Addr) uint32 {
	if locals, ok := l.under.(transport.Locals); ok {
		return locals.LocalNumber(a)
	}
	return 0
}

// Identity returns whom the association of p has proved to be.
func (l *Listener) Identity(p transport.Peer) (who transport.Identity) {
	l.with(p.Conn, func(p *part, slot int32) {
		who = transport.Identity{Proof: p.at(slot).proof, Name: *p.name(slot)}
	})
	return who
}

// ConnID returns the lasting name of what Peer.Conn numbers n.
func (l *Listener) ConnID(n uint32) (id [record.IDLength]byte, ok bool) {
	l.with(n, func(p *part, slot int32) { id, ok = p.at(slot).ID, true })
	return id, ok
}

// ConnPeer returns the peer of that name, at the address where it was last. It
// knows those that Load has taken up, until Serve.
func (l *Listener) ConnPeer(id [record.IDLength]byte) (who transport.Peer, ok bool) {
	restored := l.restored.Load()
	if restored == nil {
		return who, false
	}
	l.with((*restored)[id], func(p *part, slot int32) {
		who, ok = l.peer(p.at(slot).place, p.at(slot).number), true
	})
	return who, ok
}

// endThose ends associations.
func (l *Listener) endThose(why Ending, those func(a *association, name string) bool) {
	for i := range l.parts {
		l.endThoseOf(&l.parts[i], why, those)
	}
}

func (l *Listener) endThoseOf(p *part, why Ending, those func(a *association, name string) bool) {
	var gone []record.ID
	p.mu.Lock()
	for slot := range p.made {
		if a := p.at(slot); a.number != 0 && those(a, *p.name(slot)) {
			gone = append(gone, a.ID)
			l.leave(p, slot, why)
		}
	}
	p.mu.Unlock()
	l.keepEnded(gone...)
}

// sweepUntil sweeps a part at a time, until done.
func (l *Listener) sweepUntil(done <-chan struct{}) {
	ticker := time.NewTicker(min(max(l.cfg.Idle/(8*parts), time.Second), time.Minute))
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		l.sweep(&l.parts[i%parts])
	}
}

// maxMute is for how long an association stays whose peer says nothing at all,
// in seconds: it has no use for it, or does not know of it.
const maxMute = 600

// sweep ends those of a part that are idle, mute or expired.
func (l *Listener) sweep(p *part) {
	now := int64(seconds(l.cfg.Clock()))
	idle, mute := now-int64(l.cfg.Idle/time.Second), now-maxMute
	l.endThoseOf(p, Idle, func(a *association, _ string) bool { return int64(a.seen) < idle })
	l.endThoseOf(p, Mute, func(a *association, _ string) bool { return a.mute() && int64(a.seen) < mute })
	l.expired(p)
}

// seconds is what associations remember of a time: enough for 136 years.
func seconds(t clock.Time) uint32 { return uint32(t / clock.Time(time.Second)) }

// newID returns a name that nobody can guess.
func newID() (id record.ID) {
	rand.Read(id[:])
	return id
}
