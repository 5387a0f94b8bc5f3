package core

import (
	"time"

	"dormouse/core/store"
)

// mayLeave says whether who may leave the will w.
func (b *Broker) mayLeave(who Identity, w *Will) error {
	if w == nil {
		return nil
	}
	return b.mayPublish(who, &w.Message, OnRequest)
}

// newWill is w with who as its author, or nil.
func newWill(who Identity, w *Will, keep bool) *will {
	if w == nil {
		return nil
	}
	return &will{Will: *w, who: who, keep: keep}
}

// store puts w, if it is not nil, into the fact of its session.
func (w *will) store(f *store.Session) {
	if w != nil {
		f.Will, f.KeepWill, f.Author = &w.Will, w.keep, w.who.author()
		if w.due != 0 {
			f.WillDue = time.Unix(0, w.due)
		}
	}
}

// size is what bounds on memory count of w; of nil, nothing.
func (w *will) size() int {
	if w == nil {
		return 0
	}
	return len(w.Topic) + len(w.Payload) + w.Properties.Size()
}

// fire writes facts and, in the same Write, that w is published, if it is not nil
// and its author still may: facts let go of w, and wherever the process ends, it is
// published once. What fire returns, nil perhaps, is to be sent when no lock is
// held. stored says that the store has w, so that there is room for it;
// otherwise it may be given up. without does not get it.
//
// Broker.topics must be locked, for reading at least.
func (b *Broker) fire(w *will, stored bool, without *client, facts []store.Fact) (*publication, error) {
	if w != nil && b.mayPublish(w.who, &w.Message, OnWill) == nil {
		m := w.Message
		m.Publisher = w.who.ClientID
		if w.Lifetime > 0 {
			m.Expires = b.o.Now().Add(w.Lifetime)
		}
		p := b.publication(m, func(error) {})
		p.author, p.granted, p.without = b.signed(w.who, &m), stored, without
		err := p.route(facts)
		if err == nil {
			b.wills.Add(1)
			return p, nil
		}
		p.recycle()
		b.o.Log.Warn().Err(err).Str("event", "will_refused").Str("client", m.Publisher).Msg("a will could not be published")
	}
	if len(facts) == 0 {
		return nil, nil
	}
	return nil, b.store.Write(facts...)
}

// concede is fire where nobody waits for facts and they cannot be refused, see
// note. It reports whether they are noted.
func (b *Broker) concede(w *will, stored bool, without *client, facts ...store.Fact) (p *publication, noted bool) {
	b.topics.RLock()
	defer b.topics.RUnlock()
	p, err := b.fire(w, stored, without, facts)
	return p, b.noted(err)
}

// lost returns the will to be published now that the connection of c was
// lost, or nil: there is none, or its time will come. That is no later than
// the session's end.
func (c *client) lost(expiry time.Duration, now time.Time) *will {
	w := c.will
	if w == nil {
		return nil
	}
	if w.Delay > 0 && expiry > 0 {
		w.due = now.Add(min(w.Delay, expiry)).UnixNano()
		return nil
	}
	c.dropWill()
	return w
}

// dropWill ends the will with the connection, unless it belongs to the
// session, as MQTT-SN has it.
func (c *client) dropWill() {
	if c.will != nil && !c.will.keep {
		c.will = nil
	}
}
