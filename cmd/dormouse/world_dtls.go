package main

import (
	"bytes"
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim"
	"dormouse/sim/drive"
)

// A guard is a listener with DTLS in virtual time. It opens and seals on the
// goroutine of whoever calls. Handshakes it does in real time, all at once: the
// radio is for the caller to think of. It outlives a restart, as associations
// do that are on disk.
type guard struct {
	*dtls.Listener
	under *beneath
	take  func([]transport.Datagram)               // what comes from below
	where map[[record.IDLength]byte]transport.Peer // who was heard
	plain func([]transport.Datagram)
	now   atomic.Int64
	end   context.CancelFunc
}

// newGuard returns one that knows those keys.
func newGuard(c *config.Config, keys simKeys, now clock.Time) (*guard, error) {
	g := &guard{
		under: &beneath{served: make(chan func([]transport.Datagram)), said: make(chan letterTo, longestMeeting)},
		where: make(map[[record.IDLength]byte]transport.Peer),
	}
	g.now.Store(int64(now))
	dc := dtls.DefaultConfig()
	dc.Idle = 10 * 365 * 24 * time.Hour
	dc.Stay = migrations[c.MQTTSN.AddressMigration] == gateway.Never
	dc.Clock = func() clock.Time { return clock.Time(g.now.Load()) }
	var err error
	g.Listener, err = dtls.New(dc, &handshake.Credentials{PSK: func(identity []byte) ([]byte, bool) {
		key, known := keys[string(identity)]
		return key, known
	}}, g.under)
	if err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, g.end = context.WithCancel(context.Background())
	go g.Serve(ctx, func(batch []transport.Datagram) {
		for _, d := range batch {
			if id, ok := g.Listener.ConnID(d.Peer.Conn); ok {
				g.where[id] = d.Peer
			}
		}
		g.plain(batch)
	})
	g.take = <-g.under.served
	return g, nil
}

// ConnPeer returns the peer of that name where it was heard last, also after
// Serve has begun.
func (g *guard) ConnPeer(id [record.IDLength]byte) (transport.Peer, bool) {
	p, known := g.where[id]
	return p, known
}

// hear takes in a datagram of a device.
func (g *guard) hear(from netip.AddrPort, b []byte) {
	g.take([]transport.Datagram{{Peer: transport.Peer{Addr: from}, Buf: b}})
}

// longestMeeting is more datagrams than a handshake has.
const longestMeeting = 64

// meet does a handshake with a device at an address.
func (g *guard) meet(from netip.AddrPort, proof *handshake.Proof) (*drive.Meeting, error) {
	const patience = 20 * time.Second
	m := new(drive.Meeting)
	ours := make(chan []byte, longestMeeting)
	call, err := proof.Begin(from, func(b []byte) { ours <- bytes.Clone(b) })
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		var err error
		m.Association, err = call.Run(context.Background(), patience)
		ended <- err
	}()
	for {
		select {
		case b := <-ours:
			m.Say(true, b)
			g.hear(from, bytes.Clone(b))
		case said := <-g.under.said:
			if said.to == from { // not what is left of another
				m.Say(false, said.b)
				call.Deliver(said.b)
			}
		case err := <-ended:
			return m, err
		}
	}
}

// A beneath is what is under a guard: what is of a handshake goes to who does
// it, and all else lies there until it is fetched.
type beneath struct {
	wire
	served chan func([]transport.Datagram) // is told the guard's, once
	said   chan letterTo
}

// A letterTo is a datagram of a handshake.
type letterTo struct {
	to netip.AddrPort
	b  []byte
}

func (u *beneath) Serve(ctx context.Context, sink func([]transport.Datagram)) error {
	u.served <- sink
	<-ctx.Done()
	return nil
}

func (u *beneath) Send(batch []transport.Datagram) error {
	for i, d := range batch {
		switch record.ContentType(d.Buf[0]) {
		case record.Handshake, record.ChangeCipherSpec:
			select {
			case u.said <- letterTo{d.Peer.Addr, bytes.Clone(d.Buf)}:
			default: // nobody listens to what is repeated
			}
		default:
			if err := u.wire.Send(batch[i : i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// isDTLS reports whether b is a record of DTLS 1.2, rather than a packet of
// MQTT-SN: one of that length would be a forwarder's, of which there is none in
// virtual time.
func isDTLS(b []byte) bool {
	return len(b) > 2 && b[0] >= byte(record.ChangeCipherSpec) && b[0] <= byte(record.CID) && b[1] == 0xfe && b[2] == 0xfd
}

// secure has sensors come over DTLS as well.
func (w *world) secure(c gateway.Config, behind session.Broker) (err error) {
	if _, forgets := w.store.(store.Volatile); w.guard == nil || forgets {
		w.dismiss()
		if w.guard, err = newGuard(w.cfg, w.keys, w.now); err != nil {
			return err
		}
	}
	w.guard.under.wire = wire{}
	c.Listener = "dtls"
	w.guarded = gateway.New(c, w.guard, behind, w.now)
	w.guard.plain = w.guarded.Receive
	w.guarded.TakeUp(w.now)
	w.guarded.SetReady(true)
	return nil
}

// Close ends the world.
func (w *world) Close() error {
	w.dismiss()
	return w.witness.Close()
}

// dismiss ends the guard, if there is one.
func (w *world) dismiss() {
	if w.guard != nil {
		w.guard.end()
	}
}

// meet does a handshake with a device, for package drive.
func (w *world) meet(from netip.AddrPort, h *sim.Handshake) (*drive.Meeting, error) {
	proof, err := w.keys.prove(h)
	if err != nil {
		return nil, err
	}
	proof.Retry = 0 // it is of the radio, and there is none here
	return w.guard.meet(at(from, loopbackNet), proof)
}
