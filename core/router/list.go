package router

// A list is the subscribers of one filter. Most filters have one.
type list[K comparable, V any] struct {
	crowd *crowd[K, V] // nil: there is one at most
	one   [1]Entry[K, V]
	ones  int8 // how many are in one
}

func (l *list[K, V]) entries() []Entry[K, V] {
	if l.crowd != nil {
		return l.crowd.entries
	}
	return l.one[:l.ones]
}

func (l *list[K, V]) empty() bool { return l.crowd == nil && l.ones == 0 }

// add reports whether who is new.
func (l *list[K, V]) add(who K, what V) bool {
	switch {
	case l.crowd != nil:
		return l.crowd.add(who, what)
	case l.ones == 0 || l.one[0].Who == who:
		added := l.ones == 0
		l.one[0], l.ones = Entry[K, V]{who, what}, 1
		return added
	}
	*l = list[K, V]{crowd: &crowd[K, V]{entries: []Entry[K, V]{l.one[0], {who, what}}}}
	return true
}

// remove reports whether who was there.
func (l *list[K, V]) remove(who K) bool {
	switch {
	case l.crowd == nil && (l.ones == 0 || l.one[0].Who != who):
		return false
	case l.crowd == nil:
		*l = list[K, V]{}
		return true
	}
	removed := l.crowd.remove(who)
	if left := l.crowd.entries; len(left) == 1 {
		*l = list[K, V]{one: [1]Entry[K, V]{left[0]}, ones: 1}
	}
	return removed
}

// A crowd is more than one subscriber. A big one has an index, so that a hundred
// thousand who share a filter can leave one by one.
type crowd[K comparable, V any] struct {
	entries []Entry[K, V]
	at      map[K]int32 // where in entries; nil in a small one
}

const long = 64

func (c *crowd[K, V]) find(who K) int {
	if c.at != nil {
		if i, ok := c.at[who]; ok {
			return int(i)
		}
		return -1
	}
	for i := range c.entries {
		if c.entries[i].Who == who {
			return i
		}
	}
	return -1
}

// add reports whether who is new.
func (c *crowd[K, V]) add(who K, what V) bool {
	if i := c.find(who); i >= 0 {
		c.entries[i].What = what
		return false
	}
	c.entries = append(c.entries, Entry[K, V]{who, what})
	switch n := len(c.entries); {
	case c.at != nil:
		c.at[who] = int32(n - 1)
	case n > long:
		c.at = make(map[K]int32, n)
		for i := range c.entries {
			c.at[c.entries[i].Who] = int32(i)
		}
	}
	return true
}

// remove puts the last entry in the place of who's, and gives memory back as
// the crowd shrinks.
func (c *crowd[K, V]) remove(who K) bool {
	i := c.find(who)
	if i < 0 {
		return false
	}
	last := len(c.entries) - 1
	moved := c.entries[last]
	c.entries[i] = moved
	c.entries[last] = Entry[K, V]{}
	c.entries = c.entries[:last]
	if c.at != nil {
		c.at[moved.Who] = int32(i)
		delete(c.at, who)
	}
	if last <= long/2 {
		c.at = nil
	}
	if last < cap(c.entries)/4 {
		c.entries = append([]Entry[K, V](nil), c.entries...)
	}
	return true
}
