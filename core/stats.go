package core

import (
	"errors"
	"sync/atomic"
)

// Stats are a broker's figures: what there is now, and what has come to pass
// since it started.
type Stats struct {
	Clients       int // sessions
	Connected     int // sessions that are attached
	Subscriptions int // shared ones and all others
	Shared        int // subscriptions that are shared
	Retained      int // retained messages, without our own below $SYS
	RetainedBytes int // their topics, payloads and properties
	Waiting       int // messages in queues, one for each who is to have it
	ForSensors    int // of Waiting
	WaitingBytes  int // their topics, payloads and properties
	Inflight      int // messages taken from a queue and not acknowledged

	Opened        uint64 // calls of Open, refused ones too
	Expired       uint64 // sessions whose time was up
	Received      Flow   // messages taken from publishers
	Sent          Flow   // deliveries handed out by Next
	Wills         uint64 // wills published
	StrayAcks     uint64 // acknowledgements of what was not in flight
	StoreRefusals uint64 // facts refused by the store that nobody could be told of

	Denied  Denials
	Dropped Drops
}

// A Flow is messages and the octets of their topics and payloads.
type Flow struct{ Messages, Bytes uint64 }

// Denials are subscriptions that were refused, by cause.
type Denials struct {
	Quota        uint64 // the session has as many as it may
	Invalid      uint64 // filters that are malformed or beyond their limits
	Unauthorized uint64 // filters that an access rule forbids
}

// Drops are what did not reach whom it was meant for, by cause.
type Drops struct {
	Overflow     uint64 // a queue was full
	Expired      uint64 // a message's own expiry passed while it waited
	Aged         uint64 // a message waited longer than any may
	Detached     uint64 // QoS 0 still waiting when the client went
	Ended        uint64 // still owed when a session ended
	Invalid      uint64 // malformed topics of publishes
	Unauthorized uint64 // publishes, wills and what waits for clients that an access rule forbids
	Quota        uint64 // publishes beyond the bound on retained messages
	Share        uint64 // publishes beyond the bound on one client's retained messages
	Shed         uint64 // publishes of QoS 0 while memory was short
	Refused      uint64 // publishes of QoS 1 and 2 while memory was very short
	Behind       uint64 // publishes of QoS 0 while the store did not keep up
	Sessions     uint64 // sessions beyond their bound
	Foreign      uint64 // sessions asked for that are another user's
	Misnamed     uint64 // sessions asked for under a client id that may not be
	Busy         uint64 // sessions while memory was short
	Strained     uint64 // sessions while more came in than the machine can do
}

// counters are what Stats reads.
type counters struct {
	connected                atomic.Int64
	opened, expired, wills   atomic.Uint64
	strayAcks, storeRefusals atomic.Uint64
	received, sent           flow
	denied                   denials
	dropped                  drops
}

type flow struct{ messages, bytes atomic.Uint64 }

type denials struct{ quota, invalid, unauthorized atomic.Uint64 }

// count counts a subscription refused for err, unless that is for nobody to
// mend.
func (d *denials) count(err error) {
	switch {
	case errors.Is(err, ErrQuota):
		d.quota.Add(1)
	case errors.Is(err, ErrInvalidTopic):
		d.invalid.Add(1)
	case errors.Is(err, ErrNotAuthorized):
		d.unauthorized.Add(1)
	}
}

type drops struct {
	overflow, expired, aged     atomic.Uint64
	detached, ended             atomic.Uint64
	invalid, unauthorized       atomic.Uint64
	quota, share, shed, refused atomic.Uint64
	sessions, busy, foreign     atomic.Uint64
	misnamed                    atomic.Uint64
	strained, behind            atomic.Uint64
}

// countFull counts a publish that room has refused.
func (d *drops) countFull(err error) {
	if errors.Is(err, errShareFull) {
		d.share.Add(1)
		return
	}
	d.quota.Add(1)
}

// Stats returns the figures as they are.
func (b *Broker) Stats() Stats {
	var s Stats
	b.mu.Lock()
	s.Clients = b.clients.Len()
	b.mu.Unlock()
	b.topics.RLock()
	s.Subscriptions, s.Shared = b.router.Len()+b.members, b.members
	b.topics.RUnlock()
	b.retained.mu.RLock()
	s.Retained, s.RetainedBytes = b.retained.count, b.retained.bytes
	b.retained.mu.RUnlock()

	s.Connected = int(b.connected.Load())
	s.Waiting = int(b.owed.waiting.Load())
	s.ForSensors = int(b.owed.sensors.Load())
	s.WaitingBytes = int(b.owed.bytes.Load())
	s.Inflight = int(b.owed.inflight.Load())
	s.Opened = b.opened.Load()
	s.Expired = b.expired.Load()
	s.Received = b.received.load()
	s.Sent = b.sent.load()
	s.Wills = b.wills.Load()
	s.StrayAcks = b.strayAcks.Load()
	s.StoreRefusals = b.storeRefusals.Load()
	s.Denied = Denials{b.denied.quota.Load(), b.denied.invalid.Load(), b.denied.unauthorized.Load()}
	s.Dropped = Drops{
		Overflow:     b.dropped.overflow.Load(),
		Expired:      b.dropped.expired.Load(),
		Aged:         b.dropped.aged.Load(),
		Detached:     b.dropped.detached.Load(),
		Ended:        b.dropped.ended.Load(),
		Invalid:      b.dropped.invalid.Load(),
		Unauthorized: b.dropped.unauthorized.Load(),
		Quota:        b.dropped.quota.Load(),
		Share:        b.dropped.share.Load(),
		Shed:         b.dropped.shed.Load(),
		Refused:      b.dropped.refused.Load(),
		Sessions:     b.dropped.sessions.Load(),
		Foreign:      b.dropped.foreign.Load(),
		Misnamed:     b.dropped.misnamed.Load(),
		Busy:         b.dropped.busy.Load(),
		Behind:       b.dropped.behind.Load(),
		Strained:     b.dropped.strained.Load(),
	}
	return s
}

// Total is all of d that were messages.
func (d *Drops) Total() uint64 {
	return d.Overflow + d.Expired + d.Aged + d.Detached + d.Ended + d.Invalid + d.Unauthorized +
		d.Quota + d.Share + d.Shed + d.Refused + d.Behind
}

func (f *flow) load() Flow { return Flow{f.messages.Load(), f.bytes.Load()} }
