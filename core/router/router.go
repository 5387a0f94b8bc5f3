package router

import (
	"strings"

	"dormouse/mqttsn/index"
)

// A Router maps filters to subscribers. K says who, V what was asked for; a
// subscriber has one entry for each of its filters. Filters without wildcards
// lie in one set, the others in a tree that shares levels.
//
// It costs some 73 octets for a filter with one subscriber, filter text not
// counted. Match may run concurrently with Match; Add and Remove exclude all
// else.
type Router[K comparable, V any] struct {
	exact *index.Set[literal[K, V]]
	root  node[K, V]
	size  int
}

// An Entry is one subscriber of one filter.
type Entry[K comparable, V any] struct {
	Who  K
	What V
}

// A literal is a filter without wildcards.
type literal[K comparable, V any] struct {
	filter string
	list[K, V]
}

// A node is one level of filters with wildcards.
type node[K comparable, V any] struct {
	next map[string]*node[K, V] // by level; "+" is one of them
	here list[K, V]             // filters that end here
	rest list[K, V]             // filters that end here in "/#"
}

// New returns an empty Router.
func New[K comparable, V any]() *Router[K, V] {
	return &Router[K, V]{exact: index.NewSet(func(l *literal[K, V]) string { return l.filter })}
}

// Len is the number of entries.
func (r *Router[K, V]) Len() int { return r.size }

// Add subscribes who to a filter that ValidFilter has passed. It reports
// whether that is new; if not, what replaces what was there.
func (r *Router[K, V]) Add(filter string, who K, what V) bool {
	added := r.make(filter).add(who, what)
	if added {
		r.size++
	}
	return added
}

// make finds the list of filter, or makes it.
func (r *Router[K, V]) make(filter string) *list[K, V] {
	if !HasWildcard(filter) {
		l := r.exact.Find(filter)
		if l == nil {
			l = &literal[K, V]{filter: filter}
			r.exact.Put(l)
		}
		return &l.list
	}
	n := &r.root
	for level, more := "", true; more; {
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			return &n.rest
		}
		child := n.next[level]
		if child == nil {
			if n.next == nil {
				n.next = make(map[string]*node[K, V])
			}
			child = new(node[K, V])
			n.next[level] = child
		}
		n = child
	}
	return &n.here
}

// Remove undoes Add and reports whether there was something to undo.
func (r *Router[K, V]) Remove(filter string, who K) bool {
	var removed bool
	if HasWildcard(filter) {
		removed = r.root.remove(filter, who)
	} else if l := r.exact.Find(filter); l != nil {
		removed = l.remove(who)
		if l.empty() {
			r.exact.Drop(filter)
		}
	}
	if removed {
		r.size--
	}
	return removed
}

// remove works below n, and prunes what is left empty.
func (n *node[K, V]) remove(filter string, who K) bool {
	level, filter, more := strings.Cut(filter, "/")
	if level == "#" {
		return n.rest.remove(who)
	}
	child := n.next[level]
	if child == nil {
		return false
	}
	var removed bool
	if more {
		removed = child.remove(filter, who)
	} else {
		removed = child.here.remove(who)
	}
	if child.here.empty() && child.rest.empty() && len(child.next) == 0 {
		delete(n.next, level)
		if len(n.next) == 0 {
			n.next = nil
		}
	}
	return removed
}

// Match visits the entries of each filter that matches topic, filter by
// filter, in no particular order; it allocates nothing. The slices are valid
// only during the visit.
func (r *Router[K, V]) Match(topic string, visit func([]Entry[K, V])) {
	if l := r.exact.Find(topic); l != nil {
		visit(l.entries())
	}
	if r.root.next == nil && r.root.rest.empty() {
		return
	}
	if topic[0] != '$' {
		r.root.match(topic, visit)
		return
	}
	// A filter that begins with a wildcard does not match a topic that begins
	// with a dollar sign, MQTT 5 §4.7.2.
	level, rest, more := strings.Cut(topic, "/")
	if child := r.root.next[level]; child != nil {
		child.below(rest, more, visit)
	}
}

// match visits what matches the levels in rest.
func (n *node[K, V]) match(rest string, visit func([]Entry[K, V])) {
	if !n.rest.empty() {
		visit(n.rest.entries())
	}
	if n.next == nil {
		return
	}
	level, rest, more := strings.Cut(rest, "/")
	if child := n.next[level]; child != nil {
		child.below(rest, more, visit)
	}
	if child := n.next["+"]; child != nil {
		child.below(rest, more, visit)
	}
}

// below visits what matches at n, when the level of n has matched and rest,
// if there is more, is still to be matched. "a/#" matches "a" too.
func (n *node[K, V]) below(rest string, more bool, visit func([]Entry[K, V])) {
	if more {
		n.match(rest, visit)
		return
	}
	if !n.here.empty() {
		visit(n.here.entries())
	}
	if !n.rest.empty() {
		visit(n.rest.entries())
	}
}
