package core

import (
	"cmp"
	"slices"
	"sync"
)

// A letter is a message on its way, shared by all who receive it.
type letter struct {
	Message
	seq uint64 // orders all letters
}

// size is what bounds on memory count.
func (l *letter) size() int { return len(l.Topic) + len(l.Payload) + l.Properties.Size() }

// An item is a letter as one client is to have it.
type item struct {
	*letter        // nil once released
	via     *via   // nil: an ordinary subscription without identifier
	id      uint16 // packet identifier once in flight
	qos     QoS
	retain  bool
	release bool // PUBREC has come
	unsure  bool // in flight, and the store does not have id yet
	unseen  bool // in flight, and never returned by Next
}

// A via is what an item comes by, where there is something to say about it.
type via struct {
	ids    []uint32 // subscription identifiers
	member *member  // of a shared subscription; nil: it is an ordinary one
}

// member is the part in a group by which it comes, or nil.
func (it item) member() *member {
	if it.via == nil {
		return nil
	}
	return it.via.member
}

// share is the filter of the shared subscription by which it comes, or empty.
func (it item) share() string {
	if m := it.member(); m != nil {
		return m.group.filter
	}
	return ""
}

// A mailbox is all that waits for one client. A client has one only while
// something is in it.
type mailbox struct {
	waiting []item // from head on, in order
	head    int
	bytes   int   // of waiting
	qos0    int   // of waiting
	behind  int64 // since when the edge is, which is prompt; zero: not known to be

	inflight []item // in the order in which they were taken
	again    int    // inflight[again:] are to be delivered again first

	replays []*replay
	pace    pace // of those

	taken []uint16 // QoS 2 packet identifiers not yet released, sorted

	lost *losses // by overflow; nil: none, ever
}

var mailboxes = sync.Pool{New: func() any { return new(mailbox) }}

// box returns the client's mailbox, making one if need be.
func (c *client) box() *mailbox {
	if c.mail == nil {
		c.mail = mailboxes.Get().(*mailbox)
	}
	return c.mail
}

// tidy gives the mailbox back if nothing is in it, or its memory if all that
// is left is the count of what there was no room for.
func (c *client) tidy() {
	m := c.mail
	if m == nil || m.waits() > 0 || len(m.inflight) > 0 || len(m.replays) > 0 || len(m.taken) > 0 {
		return
	}
	const keep = 64 // items worth keeping for the next client
	small := cap(m.waiting) <= keep && cap(m.inflight) <= keep && cap(m.taken) <= keep
	switch {
	case m.lost == nil:
		c.mail, m.pace = nil, pace{}
		if small {
			mailboxes.Put(m)
		}
	case !small:
		*m = mailbox{lost: m.lost}
	}
}

// release forgets an incoming QoS 2 identifier and reports whether it was known.
func (c *client) release(id uint16) bool {
	known := c.mail != nil && c.mail.release(id)
	c.tidy()
	return known
}

func (m *mailbox) waits() int { return len(m.waiting) - m.head }

// push adds it at the end.
func (m *mailbox) push(it item) {
	if len(m.waiting) == cap(m.waiting) && m.head > len(m.waiting)/2 {
		n := copy(m.waiting, m.waiting[m.head:])
		clear(m.waiting[n:])
		m.waiting, m.head = m.waiting[:n], 0
	}
	m.waiting = append(m.waiting, it)
	m.bytes += it.size()
	if it.qos == 0 {
		m.qos0++
	}
}

// remove takes out the i-th that waits.
func (m *mailbox) remove(i int) item {
	q := m.waiting[m.head:]
	it := q[i]
	copy(q[1:i+1], q[:i])
	q[0] = item{}
	m.head++
	if m.head == len(m.waiting) {
		m.waiting, m.head = m.waiting[:0], 0
	}
	m.bytes -= it.size()
	if it.qos == 0 {
		m.qos0--
	}
	return it
}

// removeQoS0 takes out the oldest of QoS 0, of which there must be one.
func (m *mailbox) removeQoS0() item {
	return m.remove(slices.IndexFunc(m.waiting[m.head:], func(it item) bool { return it.qos == 0 }))
}

// removeAllQoS0 takes out all of QoS 0.
func (m *mailbox) removeAllQoS0() { m.weed(func(it item) bool { return it.qos == 0 }) }

// weed takes out of what waits what goes, asked about each in order, says.
func (m *mailbox) weed(goes func(item) bool) {
	waiting := m.waiting[m.head:]
	m.waiting, m.head = m.waiting[:0], 0
	m.bytes, m.qos0 = 0, 0
	for _, it := range waiting {
		if !goes(it) {
			m.push(it)
		}
	}
	clear(m.waiting[len(m.waiting):cap(m.waiting)])
}

// sort puts what waits in the order of its letters.
func (m *mailbox) sort() {
	slices.SortStableFunc(m.waiting[m.head:], func(a, b item) int { return cmp.Compare(a.seq, b.seq) })
}

// within reports whether what waits is within l.
func (m *mailbox) within(l QueueLimits) bool {
	return m.waits() <= l.Messages && m.bytes <= l.Bytes
}

// fits reports whether it can be pushed within l.
func (m *mailbox) fits(it item, l QueueLimits) bool {
	return m.waits() < l.Messages && m.bytes+it.size() <= l.Bytes
}

// admit pushes it, and returns those that had to go for that, it perhaps
// among them.
func (m *mailbox) admit(it item, l QueueLimits) (dropped []item) {
	for !m.fits(it, l) {
		switch {
		case l.Overflow == DropNewest || m.waits() == 0:
			return append(dropped, it)
		case l.Overflow == DropOldest:
			dropped = append(dropped, m.remove(0))
		case m.qos0 > 0:
			dropped = append(dropped, m.removeQoS0())
		case it.qos == 0:
			return append(dropped, it)
		default:
			dropped = append(dropped, m.remove(0))
		}
	}
	m.push(it)
	return dropped
}

// flying returns where in flight the packet identifier id is, or -1.
func (m *mailbox) flying(id uint16) int {
	return slices.IndexFunc(m.inflight, func(it item) bool { return it.id == id })
}

// land takes the i-th out of flight.
func (m *mailbox) land(i int) {
	m.inflight = slices.Delete(m.inflight, i, i+1)
	if i < m.again {
		m.again--
	}
}

// take notes an incoming QoS 2 identifier and reports whether it is new.
func (m *mailbox) take(id uint16) bool {
	i, found := slices.BinarySearch(m.taken, id)
	if !found {
		m.taken = slices.Insert(m.taken, i, id)
	}
	return !found
}

// release forgets an incoming QoS 2 identifier and reports whether it was known.
func (m *mailbox) release(id uint16) bool {
	i, found := slices.BinarySearch(m.taken, id)
	if found {
		m.taken = slices.Delete(m.taken, i, i+1)
	}
	return found
}
