package core

import (
	"sync"
	"time"

	"dormouse/core/router"
	"dormouse/core/store"
)

// retained is the retained messages of all topics. mu is a leaf: nothing else
// is locked under it.
type retained struct {
	limits RetainedLimits
	stands func(*keepsake) bool // whether it may be replayed; nil: any may

	mu     sync.RWMutex
	topics router.Topics[*keepsake]
	due    deadlines[*keepsake]
	count  int // without our own below $SYS, which the limits do not bound
	bytes  int
	shares map[string]int // messages of each client that has any
}

// A keepsake is the retained message of one topic.
type keepsake struct {
	*letter // nil once cleared
	author  string
	deadline
}

// counted reports whether l is a client's, not our own below $SYS.
func counted(l *letter) bool { return l.Topic[0] != '$' || l.Publisher != "" }

// room says whether l can be kept within the limits: nil, or which is in the
// way. What takes the place of its publisher's own always fits in its share.
// The caller holds mu.
func (r *retained) room(l *letter) error {
	if len(l.Payload) == 0 || !counted(l) {
		return nil
	}
	count, bytes, share := r.count+1, r.bytes+l.size(), r.shares[l.Publisher]+1
	if old, ok := r.topics.Find(l.Topic); ok {
		count, bytes = count-1, bytes-old.size()
		if old.Publisher == l.Publisher {
			share = 0
		}
	}
	switch {
	case count > r.limits.Messages || bytes > r.limits.Bytes:
		return errRetainedFull
	case l.Publisher != "" && share > r.limits.PerPublisher:
		return errShareFull
	}
	return nil
}

// set keeps l, and who retained it, or with an empty payload clears its topic. The
// caller holds mu.
func (r *retained) set(l *letter, author string) {
	if len(l.Payload) == 0 {
		r.clear(l.Topic)
		return
	}
	at := r.topics.Value(l.Topic)
	k := *at
	if k == nil {
		k = new(keepsake)
		*at = k
	} else {
		r.forget(k)
	}
	k.letter, k.author = l, author
	if counted(l) {
		r.count++
		r.bytes += l.size()
		r.own(l.Publisher, 1)
	}
	if !l.Expires.IsZero() {
		r.due.set(k, l.Expires.UnixNano())
	}
}

// forget empties k, which may be in the hands of a replay.
func (r *retained) forget(k *keepsake) {
	r.due.cancel(k)
	if counted(k.letter) {
		r.count--
		r.bytes -= k.size()
		r.own(k.Publisher, -1)
	}
	k.letter, k.author = nil, ""
}

// own notes that a client has n more messages.
func (r *retained) own(clientID string, n int) {
	switch n += r.shares[clientID]; {
	case clientID == "":
	case n == 0:
		delete(r.shares, clientID)
	default:
		r.shares[clientID] = n
	}
}

// clear empties a topic. The caller holds mu.
func (r *retained) clear(topic string) {
	if k, ok := r.topics.Find(topic); ok {
		r.forget(k)
		r.topics.Delete(topic)
	}
}

// tickRetained clears one topic whose message has expired at now, and reports
// whether there may be another. The store hears of it first, and then of what
// is retained there next.
func (b *Broker) tickRetained(now int64) bool {
	r := &b.retained
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.due.next(now)
	if !ok {
		return false
	}
	topic := k.Topic
	r.clear(topic)
	b.note(&store.Unretained{Topic: topic})
	return true
}

func expired(l *letter, now func() time.Time) bool {
	return !l.Expires.IsZero() && !now().Before(l.Expires)
}
