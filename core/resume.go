package core

import (
	"slices"
	"strings"
)

// This file is how a sensor's edge goes on after a restart with those that were
// connected before, without a word from them.
//
// The first octet of what is stored for an edge is core's: whether the
// attachment that the state tells of is still there. It is from SaveEdge until
// Detach, or until another edge opens the session. An end of the process, be it
// planned or not, does not end it.
const (
	edgeParted   = "\x00"
	edgeAttached = "\x01"
)

// linked reports whether the edge of c has saved the state of an attachment
// that has not ended since.
func (c *client) linked() bool { return strings.HasPrefix(c.edge, edgeAttached) }

// partedEdge is edge without the attachment.
func partedEdge(edge string) string {
	if !strings.HasPrefix(edge, edgeAttached) {
		return edge
	}
	return edgeParted + edge[1:]
}

// SavedEdge takes apart what a store keeps of a session for its edge: what
// SaveEdge last stored, and whether the attachment that it tells of had ended.
func SavedEdge(edge string) (state []byte, attached bool) {
	c := &client{edge: edge}
	return c.edgeState(), c.linked()
}

// edgeState is what SaveEdge last stored, or nil.
func (c *client) edgeState() []byte {
	if c.edge == "" {
		return nil
	}
	return []byte(c.edge[1:])
}

// A Left is a session that an edge had attached when the process before this
// one ended, and that nobody has attached since.
type Left struct {
	ClientID  string
	EdgeState []byte // what SaveEdge last stored
	Will      *Will  // or nil
}

// Left yields what is left, in the order of client ids. While it does, sessions
// may be resumed and opened.
func (b *Broker) Left(yield func(Left) bool) {
	b.mu.Lock()
	left := make([]*client, 0, b.clients.Len())
	for c := range b.clients.All {
		c.mu.Lock()
		if c.attached == nil && c.linked() {
			left = append(left, c)
		}
		c.mu.Unlock()
	}
	b.mu.Unlock()
	slices.SortFunc(left, func(a, b *client) int { return strings.Compare(a.id, b.id) })
	for _, c := range left {
		c.mu.Lock()
		l, still := Left{ClientID: c.id, EdgeState: c.edgeState()}, c.attached == nil && !c.gone && c.linked()
		if c.will != nil {
			l.Will = &c.will.Will
		}
		c.mu.Unlock()
		if still && !yield(l) {
			return
		}
	}
}

// Resume attaches sink, a Sensor's, to what is left of id's session as if it
// had been attached all the time, and there is nothing to be stored. What is in
// flight comes first out of Next; Mail is not called before Next has returned
// false. o is what the session was opened with: its Expiry counts. It returns
// nil if there is nothing to go on with: nothing is left, or id may no longer
// have it.
func (b *Broker) Resume(id Identity, o SessionOptions, sink Sink) *Session {
	s := &Session{
		broker: b, sink: sink,
		entry:  entryOf(id, o),
		remote: id.Remote,
		since:  b.o.Now().UnixNano(),
		expiry: o.Expiry,
	}
	b.mu.Lock()
	defer b.unlock()
	c := b.clients.Find(id.ClientID)
	if c == nil || b.closed.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attached != nil || !c.linked() || !b.mayHave(c, id) || !b.named(id) {
		return nil
	}
	b.due.cancel(c)
	c.attached, c.ends = s, 0
	s.client = c
	b.recheck(c, id, OnResume)
	b.attend(c, s)
	b.connected.Add(1)
	return s
}
