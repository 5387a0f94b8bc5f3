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
	return b.mayPublish(who, w.Topic)
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
		f.Will, f.KeepWill = &w.Will, w.keep
		if w.due != 0 {
			f.WillDue = time.Unix(0, w.due)
		}
	}
}

// fire publishes w, if it is not nil and its author still may. Nobody waits
// for it.
func (b *Broker) fire(w *will) {
	if w == nil || b.mayPublish(w.who, w.Topic) != nil {
		return
	}
	m := w.Message
	m.Publisher = w.who.ClientID
	if w.Lifetime > 0 {
		m.Expires = b.o.Now().Add(w.Lifetime)
	}
	if err := b.publish(m, nil, func(error) {}); err != nil {
		b.o.Log.Warn().Err(err).Str("event", "will_refused").Str("client", m.Publisher).Msg("a will could not be published")
		return
	}
	b.wills.Add(1)
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
