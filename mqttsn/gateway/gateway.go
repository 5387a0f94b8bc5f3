// Package gateway runs sessions: it owns the goroutines, the clock and the
// buffers that the packages below it do without.
//
// A [Gateway] is some shards behind one transport. A shard is one goroutine
// with the sessions that it alone may touch; a datagram goes to the shard of
// its sender's address. Whatever has to do with a session of another shard is
// left in that one's inbox, and nobody waits for an answer: so nothing can
// block. What a shard does with what it finds there:
//
//  1. table.go finds the seat of the sender, and stranger.go deals with those
//     who have none;
//  2. drive.go lets the session handle it, and carries out what it asks for;
//  3. the broker's answers come back as events of the seat, seat.go.
//
// A client that connects from another address gets another seat there, and the
// broker, which alone decides who has a client id, kicks the old one. Nothing
// of the old session is needed: what outlives a connection is the broker's.
// A sleeper that merely wakes elsewhere takes its seat along, move.go.
//
// So it is after a restart, too: with each session the broker keeps where its
// client is, and [Gateway.TakeUp] seats all of them again, takeup.go.
//
// With [Gateway.Run] every shard is a goroutine. With [Gateway.Step] there is
// none: the whole gateway runs in virtual time, on the caller's, and the same
// datagrams at the same times have the same effects.
package gateway

import (
	"context"
	"sync"
	"sync/atomic"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport"
)

// A Gateway is the front end of one listener. Use [New].
type Gateway struct {
	cfg       Config
	transport transport.Transport
	broker    session.Broker
	shards    []*shard

	clients    *registry
	seats      atomic.Int64 // of all shards
	ready      atomic.Bool
	opened     atomic.Bool // it has been ready once
	draining   atomic.Bool
	strained   atomic.Int64   // a clock.Time: until then nobody new may connect
	behind     atomic.Bool    // the broker's store is
	strangers  *limit.Limiter // answers, by network
	connects   *limit.Limiter // of strangers
	subscribes *limit.Limiter // SUBSCRIBE, by network
	searches   *limit.Limiter
	sources    *limit.Limiter // of QoS -1, by address
	minusOne   *limit.Limiter // QoS -1 of all
	notices    notices

	gwinfo, advert []byte
}

// New returns a gateway that carries datagrams between t and broker. c must be
// valid. Step must not be told a time before start.
func New(c Config, t transport.Transport, broker session.Broker, start clock.Time) *Gateway {
	c.Session.QoSMinusOne = c.QoSMinusOne.From != Nowhere
	const networks = 1 << 12
	g := &Gateway{
		cfg:        c,
		transport:  t,
		broker:     broker,
		clients:    newRegistry(),
		strangers:  limit.New(networks, c.Strangers.ResponsesPerPrefix),
		connects:   limit.New(1, c.Strangers.Connects),
		subscribes: limit.New(networks, subscribesPerResponse*c.Strangers.ResponsesPerPrefix),
		searches:   limit.New(1, c.Search.Rate),
		sources:    limit.New(networks, c.QoSMinusOne.RatePerSource),
		minusOne:   limit.New(1, c.QoSMinusOne.Rate),
		notices:    notices{log: c.Log, rate: limit.New(int(numNotices), noticesPerSecond)},
	}
	g.gwinfo = octets(&mqttsn.Gwinfo{GatewayID: c.GatewayID})
	g.advert = octets(&mqttsn.Advertise{GatewayID: c.GatewayID, Duration: c.Advertise.Interval})
	for range c.Shards {
		g.shards = append(g.shards, newShard(g, start))
	}
	g.shards[0].advertises = len(c.Advertise.Addresses) > 0
	return g
}

// Run serves until ctx is cancelled. The error, if any, is the transport's.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var shards sync.WaitGroup
	for _, s := range g.shards {
		shards.Go(func() { s.run(ctx) })
	}
	err := g.transport.Serve(ctx, g.Receive)
	cancel()
	shards.Wait()
	return err
}

// Step does all that there is to do at now, on the caller's goroutine. It is
// not to be used together with Run.
func (g *Gateway) Step(now clock.Time) {
	for _, s := range g.shards {
		s.turn(now)
	}
	for again := true; again; {
		again = false
		for _, s := range g.shards {
			if s.behind() {
				s.turn(now)
				again = true
			}
		}
	}
}

// Next returns when Step next has something to do, or zero for never. There
// may turn out to be nothing yet; nothing is due sooner.
func (g *Gateway) Next() clock.Time {
	var t clock.Time
	for _, s := range g.shards {
		if s.behind() {
			return s.now
		}
		t = clock.Sooner(t, s.next())
	}
	return t
}

// Receive takes in datagrams, each for the shard of its sender's address. It
// never waits: what finds a shard's inbox full is dropped and counted. It
// keeps nothing of batch. It is safe for concurrent use.
//
// Until the gateway is first ready nothing is heard: it does not know its
// clients yet, and to tell them so would have them all connect again.
func (g *Gateway) Receive(batch []transport.Datagram) {
	if !g.opened.Load() {
		g.shards[0].count.drops[notReady].Add(uint64(len(batch)))
		return
	}
	var to [64]uint8
	for len(batch) > 0 {
		n := min(len(batch), len(to))
		var mail [256]bool
		for i, d := range batch[:n] {
			to[i] = g.shardOf(d.Peer)
			mail[to[i]] = true
		}
		for i, s := range g.shards {
			if mail[i] {
				s.count.full.Add(uint64(s.in.post(batch[:n], to[:], uint8(i))))
			}
		}
		batch = batch[n:]
	}
}

// shardOf is the number of the shard that hears p.
func (g *Gateway) shardOf(p transport.Peer) uint8 {
	if len(g.shards) == 1 {
		return 0
	}
	p = p.Key()
	h := limit.HashAddr(g.cfg.Seed, p.Addr.Addr())
	h = limit.Mix(h ^ uint64(p.Addr.Port())<<32 ^ uint64(p.Conn))
	return uint8(h % uint64(len(g.shards)))
}

// SetReady says whether the gateway can serve. Until it can, it neither
// advertises nor answers SEARCHGW, 1.2 §6.1; until it first can, it answers
// nothing at all.
func (g *Gateway) SetReady(ready bool) {
	if ready {
		g.opened.Store(true)
	}
	g.ready.Store(ready)
	g.shards[0].in.stir()
}

// Drain takes leave: from now on nobody can connect, no ADVERTISE is sent, and
// active clients whose session is not kept are sent DISCONNECT. Sleepers and
// those with a kept session notice nothing. Drain returns when that is done,
// which takes a Run, or with ctx's error.
func (g *Gateway) Drain(ctx context.Context) error {
	said := g.drain()
	for range g.shards {
		select {
		case <-said:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drain begins to take leave. Each shard says when it has.
func (g *Gateway) drain() (said <-chan struct{}) {
	g.draining.Store(true)
	done := make(chan struct{}, len(g.shards))
	for _, s := range g.shards {
		s.in.call(func() {
			s.takeLeave()
			done <- struct{}{}
		})
	}
	return done
}

// prefix condenses the network of an address.
func (g *Gateway) prefix(p transport.Peer) uint64 {
	a, bits := p.Addr.Addr().WithZone(""), g.cfg.Strangers.PrefixV6
	if a.Is4() {
		bits = g.cfg.Strangers.PrefixV4
	}
	network, err := a.Prefix(bits)
	if err != nil {
		return 0 // no address at all
	}
	return limit.HashAddr(g.cfg.Seed, network.Addr())
}
