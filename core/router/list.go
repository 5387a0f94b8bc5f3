package router

// A list is the subscribers of one filter. Long lists have an index, so that
// a hundred thousand who share a filter can leave one by one.
type list[K comparable, V any] struct {
	entries []Entry[K, V]
	at      map[K]int32 // where in entries; nil in a short list
}

const long = 64

func (l *list[K, V]) empty() bool { return len(l.entries) == 0 }

func (l *list[K, V]) find(who K) int {
	if l.at != nil {
		if i, ok := l.at[who]; ok {
			return int(i)
		}
		return -1
	}
	for i := range l.entries {
		if l.entries[i].Who == who {
			return i
		}
	}
	return -1
}

// add reports whether who is new.
func (l *list[K, V]) add(who K, what V) bool {
	if i := l.find(who); i >= 0 {
		l.entries[i].What = what
		return false
	}
	l.entries = append(l.entries, Entry[K, V]{who, what})
	switch n := len(l.entries); {
	case l.at != nil:
		l.at[who] = int32(n - 1)
	case n > long:
		l.at = make(map[K]int32, n)
		for i := range l.entries {
			l.at[l.entries[i].Who] = int32(i)
		}
	}
	return true
}

// remove puts the last entry in the place of who's, and gives memory back as
// the list shrinks.
func (l *list[K, V]) remove(who K) bool {
	i := l.find(who)
	if i < 0 {
		return false
	}
	last := len(l.entries) - 1
	moved := l.entries[last]
	l.entries[i] = moved
	l.entries[last] = Entry[K, V]{}
	l.entries = l.entries[:last]
	if l.at != nil {
		l.at[moved.Who] = int32(i)
		delete(l.at, who)
	}
	switch {
	case last == 0:
		*l = list[K, V]{}
	case last <= long/2:
		l.at = nil
	}
	if last > 0 && last < cap(l.entries)/4 {
		l.entries = append([]Entry[K, V](nil), l.entries...)
	}
	return true
}
