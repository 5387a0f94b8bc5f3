package client

import (
	"bytes"
	"slices"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/bounds"
	"dormouse/mqttsn/clock"
)

// A FinderConfig is shared, read-only, by any number of Finders. Start from
// [DefaultFinderConfig]: the zero FinderConfig is not valid.
type FinderConfig struct {
	// Radius is how far SEARCHGW goes, in hops. 0 reaches every node, which
	// is the default.
	Radius uint8

	// SearchDelay is the longest time that chance delays SEARCHGW
	// (T_SEARCHGW, 1.2 §7.2). 0 to 5 min; default 5 s.
	SearchDelay time.Duration

	// AnswerDelay is the longest time that chance delays the answer to
	// another's SEARCHGW (T_GWINFO, 1.2 §7.2). 0 to 5 min; default 5 s.
	AnswerDelay time.Duration

	// Interval is how long to wait for a gateway before SEARCHGW is sent
	// again. It doubles each time. 100 ms to MaxInterval; default 10 s.
	Interval time.Duration

	// MaxInterval is as far as Interval grows. Up to 24 h; default 15 min.
	MaxInterval time.Duration

	// Missed is how many ADVERTISE a gateway may miss before it is forgotten
	// (N_ADV, 1.2 §7.2). 1 to 20; default 3.
	Missed int

	// MaxGateways is how many gateways are noted at most. 1 to 256; default 8.
	MaxGateways int

	// Silent keeps the client from answering others. Default no.
	Silent bool
}

// DefaultFinderConfig returns the defaults.
func DefaultFinderConfig() FinderConfig {
	return FinderConfig{
		SearchDelay: 5 * time.Second,
		AnswerDelay: 5 * time.Second,
		Interval:    10 * time.Second,
		MaxInterval: 15 * time.Minute,
		Missed:      3,
		MaxGateways: 8,
	}
}

// Validate reports everything wrong with c, not just the first thing.
func (c *FinderConfig) Validate() error {
	var b bounds.Checks
	const longest = 5 * time.Minute
	b.Require(0 <= c.SearchDelay && c.SearchDelay <= longest, "search delay is %v; it must be 0 to 5m", c.SearchDelay)
	b.Require(0 <= c.AnswerDelay && c.AnswerDelay <= longest, "answer delay is %v; it must be 0 to 5m", c.AnswerDelay)
	b.Require(100*time.Millisecond <= c.Interval && c.Interval <= c.MaxInterval,
		"search interval is %v; it must be 100ms to the longest, %v", c.Interval, c.MaxInterval)
	b.Require(c.MaxInterval <= 24*time.Hour, "the longest search interval is %v; it must be 24h or less", c.MaxInterval)
	b.Require(1 <= c.Missed && c.Missed <= 20, "missed advertisements are %d; they must be 1 to 20", c.Missed)
	b.Require(1 <= c.MaxGateways && c.MaxGateways <= 256, "gateways are %d; they must be 1 to 256", c.MaxGateways)
	return b.Err()
}

// A Gateway is one that a Finder knows of.
type Gateway struct {
	ID      uint8
	Address []byte     // in the network's own form
	Until   clock.Time // forgotten then unless it is heard of again; zero: it does not advertise

	period time.Duration // T_ADV
}

// A Finder is a client's part in discovery, 1.2 §6.1, before and beside its
// virtual connection: a state machine without input or output, like [Client].
// Whoever drives it broadcasts the datagrams, as far as their Sending.Radius,
// and hands to it the ADVERTISE, SEARCHGW and GWINFO that others broadcast:
// not its own. Use [NewFinder].
type Finder struct {
	cfg      *FinderConfig
	gateways []Gateway // in the order in which they were found
	search   clock.Time
	answer   clock.Time
	interval time.Duration
	chance   uint64
	radius   uint8 // of the answer
	waits    bool  // the first SEARCHGW has not gone
}

// NewFinder returns a Finder that knows of no gateway and looks for none. cfg
// must not change. All that is left to chance follows from seed.
func NewFinder(cfg *FinderConfig, seed uint64) *Finder { return &Finder{cfg: cfg, chance: seed} }

// Gateways returns what gateways are known, in the order in which they were
// found. It is valid until the next call.
func (f *Finder) Gateways() []Gateway { return f.gateways }

// Forget drops a gateway, which does not answer.
func (f *Finder) Forget(id uint8) {
	f.gateways = slices.DeleteFunc(f.gateways, func(g Gateway) bool { return g.ID == id })
}

// Deadline returns when Tick is next wanted, or zero for never. It may change
// with every call.
func (f *Finder) Deadline() clock.Time {
	at := clock.Sooner(f.search, f.answer)
	for i := range f.gateways {
		at = clock.Sooner(at, f.gateways[i].Until)
	}
	return at
}

// Search looks for a gateway, until one is heard of: with a SEARCHGW after a
// while, which another client's can take the place of, and then with one
// every now and then. While it looks already it does nothing.
func (f *Finder) Search(now clock.Time) {
	if f.search != 0 {
		return
	}
	f.waits = true
	f.interval = f.cfg.Interval
	f.search = now.Add(f.random(f.cfg.SearchDelay))
}

// Searching reports whether Search has found nothing yet.
func (f *Finder) Searching() bool { return f.search != 0 }

// Tick runs whatever timers have expired. A call too early does nothing.
func (f *Finder) Tick(now clock.Time, out *Actions) {
	f.gateways = slices.DeleteFunc(f.gateways, func(g Gateway) bool { return g.Until.Reached(now) })
	if f.search.Reached(now) {
		again := !f.waits
		f.asked(now)
		out.broadcast(&mqttsn.Searchgw{Radius: f.cfg.Radius}, again, f.cfg.Radius)
	}
	if f.answer.Reached(now) {
		f.answer = 0
		if len(f.gateways) > 0 {
			g := &f.gateways[0]
			out.broadcast(&mqttsn.Gwinfo{GatewayID: g.ID, Address: g.Address}, false, f.radius)
		}
	}
}

// asked waits for an answer, longer each time. Chance keeps those apart whom
// the same SEARCHGW has silenced.
func (f *Finder) asked(now clock.Time) {
	f.waits = false
	f.search = now.Add(f.interval + f.random(f.cfg.SearchDelay))
	f.interval = min(2*f.interval, f.cfg.MaxInterval)
}

// Handle takes in a packet that was broadcast, or sent to this client alone,
// from a node at an address. It keeps nothing of either.
func (f *Finder) Handle(now clock.Time, from []byte, p mqttsn.Packet, out *Actions) {
	switch p := p.(type) {
	case *mqttsn.Advertise:
		f.found(p.GatewayID, from, true)
		f.advertised(now, p.GatewayID, p.Duration)
	case *mqttsn.Gwinfo:
		f.answer = 0 // it was given
		if len(p.Address) > 0 {
			f.found(p.GatewayID, p.Address, false)
			return
		}
		f.found(p.GatewayID, from, true)
		f.advertised(now, p.GatewayID, 0)
	case *mqttsn.Searchgw:
		f.onSearchgw(now, p)
	default:
		out.Stray++
	}
}

// onSearchgw takes another's question: for ours if ours has not gone yet and
// would be the same, and to be answered if we can, unless somebody else does.
func (f *Finder) onSearchgw(now clock.Time, p *mqttsn.Searchgw) {
	if f.search != 0 && f.waits && p.Radius == f.cfg.Radius {
		f.asked(now)
	}
	if len(f.gateways) > 0 && f.answer == 0 && !f.cfg.Silent {
		f.radius = p.Radius
		f.answer = now.Add(f.random(f.cfg.AnswerDelay))
	}
}

// found notes a gateway, and ends the search. What it says itself of where it
// is goes before what others say.
func (f *Finder) found(id uint8, address []byte, itself bool) {
	i := slices.IndexFunc(f.gateways, func(g Gateway) bool { return g.ID == id })
	switch {
	case i < 0 && len(f.gateways) == f.cfg.MaxGateways:
		return
	case i < 0:
		f.gateways = append(f.gateways, Gateway{ID: id, Address: bytes.Clone(address)})
	case itself && !bytes.Equal(f.gateways[i].Address, address):
		f.gateways[i].Address = bytes.Clone(address)
	}
	f.search = 0
}

// advertised notes that a gateway lives, and until when it is taken to if it
// is not heard again: half a period beyond the last ADVERTISE it may miss. A
// period of zero is the one it said before, if any.
func (f *Finder) advertised(now clock.Time, id uint8, period time.Duration) {
	for i := range f.gateways {
		if g := &f.gateways[i]; g.ID == id {
			if period > 0 {
				g.period = period
			}
			if g.period > 0 {
				g.Until = now.Add(time.Duration(f.cfg.Missed)*g.period + g.period/2)
			}
		}
	}
}

// random returns a time of up to longest, by the generator splitmix64.
func (f *Finder) random(longest time.Duration) time.Duration {
	f.chance += 0x9e3779b97f4a7c15
	z := f.chance
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return time.Duration(z % uint64(longest+1))
}

// broadcast appends the datagram for p, which everybody is to hear.
func (a *Actions) broadcast(p mqttsn.Packet, again bool, radius uint8) {
	if a.send(mqttsn.V12, p, again) == nil {
		a.ends[len(a.ends)-1].Radius = radius
	}
}
