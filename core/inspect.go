package core

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"dormouse/core/router"
)

// This file is what operators ask for.

// A ClientInfo is what there is to know about one session.
type ClientInfo struct {
	Identity  // of its connection; but for ClientID empty while there is none
	Connected bool

	Since  time.Time     // when its connection began, while there is one
	Expiry time.Duration // how long it outlives that
	Lost   bool          // without one: the last did not end at the client's wish, nor because we stopped
	Ends   time.Time     // without one: when the session does. Zero: never

	Subscriptions []Subscription
	Will          *Will
	Waiting       int // messages
	WaitingBytes  int // of their topics, payloads and properties
	Inflight      int
	Dropped       uint64 // messages for which its queue had no room
}

// Client returns what there is to know about a client.
func (b *Broker) Client(id string) (info ClientInfo, ok bool) {
	b.mu.Lock()
	c := b.clients.Find(id)
	b.mu.Unlock()
	if c == nil {
		return info, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info(), !c.gone
}

// ClientIDs returns the ids of all sessions, sorted.
func (b *Broker) ClientIDs() []string {
	b.mu.Lock()
	ids := make([]string, 0, b.clients.Len())
	for c := range b.clients.All {
		ids = append(ids, c.id)
	}
	b.mu.Unlock()
	slices.Sort(ids)
	return ids
}

func (c *client) info() ClientInfo {
	info := ClientInfo{Identity: Identity{ClientID: c.id}}
	if s := c.attached; s != nil {
		info.Identity, info.Connected = s.who(), true
		info.Since, info.Expiry = time.Unix(0, s.since), s.expiry
	} else {
		info.Lost = c.ended == Lost
		if c.ends != 0 {
			info.Ends = time.Unix(0, c.ends)
		}
	}
	for _, sub := range c.subs {
		info.Subscriptions = append(info.Subscriptions, sub.asked())
	}
	if c.will != nil {
		will := c.will.Will
		info.Will = &will
	}
	if m := c.mail; m != nil {
		info.Waiting, info.WaitingBytes = m.waits(), m.bytes
		info.Inflight = len(m.inflight)
		if m.lost != nil {
			info.Dropped = m.lost.dropped
		}
	}
	return info
}

// Kick ends a client's connection, which counts as lost: its will is
// published. A session that outlives its connections stays, unless purge. It
// reports whether there was such a client.
func (b *Broker) Kick(clientID string, purge bool) bool {
	b.mu.Lock()
	c := b.clients.Find(clientID)
	if c == nil {
		b.mu.Unlock()
		return false
	}
	c.mu.Lock()
	var sink Sink
	var p *publication
	if s := c.attached; s != nil {
		sink = s.sink
		p = b.detach(s, Lost)
	}
	if purge && !c.gone {
		var w *will
		if c.will != nil && c.will.due != 0 {
			w = c.will // its delay ends with the session
		}
		p = cmp.Or(b.conclude(c, w), p)
	}
	c.mu.Unlock()
	b.unlock()
	if sink != nil {
		sink.Kick(Kicked)
	}
	b.send(p)
	return true
}

// Retained yields the retained messages whose topics match filter. It must be
// one that ValidFilter passes. What changes meanwhile may or may not be seen.
func (b *Broker) Retained(filter string) (iter.Seq[Message], error) {
	if err := router.ValidFilter(filter, b.o.Topics); err != nil {
		return nil, err
	}
	return func(yield func(Message) bool) {
		p := &replay{Cursor: b.retained.topics.Walk(filter), before: b.lastSeq.Load()}
		for !p.over() {
			p.find(&b.retained)
			if l, ok := p.take(&b.retained, "", b.o.Now); ok && !yield(l.Message) {
				return
			}
		}
	}, nil
}

// RemoveRetained removes the retained message of a topic as a client would, by
// an empty one in its place, which subscribers see: at QoS 1, so that those who
// are away do as well. Unlike a client's it is taken while memory is short,
// since it makes room.
func (b *Broker) RemoveRetained(by Identity, topic string, done func(error)) {
	m := Message{Topic: topic, Publisher: by.ClientID, Retain: true, QoS: 1}
	err := b.mayPublish(by, &m, OnRequest)
	if err == nil {
		err = b.publish(m, "", "", done)
	}
	if err != nil {
		b.refuse(err, done)
	}
}
