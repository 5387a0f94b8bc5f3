package router

import "strings"

// A Cursor walks the topics that match a filter, a few at a time, while the
// set may change between calls. Each topic that was there at the start and
// still is, is met exactly once; one that came later is met or not.
//
// It costs some 40 octets for each level of the filter, however many topics
// there are.
type Cursor[V any] struct {
	filter string
	levels []string      // of the filter, without a last "#"
	deep   bool          // the filter ends in "#"
	path   []position[V] // from the root to where we are
}

// A position is a node whose children are being visited.
type position[V any] struct {
	node *topicNode[V]
	slot int32 // the next child to visit
}

// Walk returns a Cursor at the start of the topics that match filter, which
// ValidFilter has passed.
func (t *Topics[V]) Walk(filter string) *Cursor[V] {
	c := &Cursor[V]{filter: filter, levels: strings.Split(filter, "/")}
	if last := len(c.levels) - 1; c.levels[last] == "#" {
		c.deep = true
		c.levels = c.levels[:last]
	}
	c.path = append(c.path, position[V]{node: &t.root})
	return c
}

// Filter is what Walk was given.
func (c *Cursor[V]) Filter() string { return c.filter }

// Done reports whether all has been visited.
func (c *Cursor[V]) Done() bool { return len(c.path) == 0 }

// Next takes at most steps steps from level to level, and visits the topic on
// the way that comes first, if one does: ok. With neither ok nor Done, call
// again; that is a chance to let others at the set.
func (c *Cursor[V]) Next(steps int) (v V, ok bool) {
	for ; steps > 0 && !c.Done(); steps-- {
		n, more := c.descend()
		if !more {
			c.path = c.path[:len(c.path)-1]
		}
		if n == nil {
			continue
		}
		depth := len(c.path)
		if c.deep || depth < len(c.levels) {
			c.path = append(c.path, position[V]{node: n})
		}
		// "a/#" matches "a" too.
		if n.set && (depth == len(c.levels) || c.deep && depth > len(c.levels)) {
			return n.value, true
		}
	}
	return v, false
}

// Ahead reports whether topic matches, is there and still to be visited.
func (c *Cursor[V]) Ahead(topic string) bool {
	if c.Done() {
		return false
	}
	n, met := c.path[0].node, true // all levels so far are on the path
	for depth, more := 1, true; more; depth++ {
		var level string
		level, topic, more = strings.Cut(topic, "/")
		child := n.child(level)
		if child == nil || !c.allows(child, depth, !more) {
			return false
		}
		if met {
			switch p := c.path[depth-1]; {
			case !c.past(p, child, depth):
				met = false // all below is still to be visited
			case depth == len(c.path) || c.path[depth].node != child:
				return false
			}
		}
		n = child
	}
	return n.set && !met
}

// allows reports whether the filter lets n, at depth, be on the way to a topic
// that it matches, or be that itself: last.
func (c *Cursor[V]) allows(n *topicNode[V], depth int, last bool) bool {
	if depth > len(c.levels) {
		return c.deep && !(depth == 1 && strings.HasPrefix(n.level, "$"))
	}
	if last && depth < len(c.levels) {
		return false
	}
	if c.levels[depth-1] == "+" {
		return depth > 1 || !strings.HasPrefix(n.level, "$")
	}
	return c.levels[depth-1] == n.level
}

// past reports whether child of the node at p, on the path at depth, has been
// looked at.
func (c *Cursor[V]) past(p position[V], child *topicNode[V], depth int) bool {
	if depth <= len(c.levels) && c.levels[depth-1] != "+" {
		return p.slot > 0
	}
	return child.slot < p.slot
}

// descend looks at one child of the last node on the path, and returns it if
// the filter allows it at its level. Without more, all have been looked at.
func (c *Cursor[V]) descend() (n *topicNode[V], more bool) {
	depth := len(c.path)
	p := &c.path[depth-1]
	literal := depth <= len(c.levels) && c.levels[depth-1] != "+"
	switch {
	case p.node.branches == nil, literal && p.slot > 0, int(p.slot) >= len(p.node.children):
		return nil, false
	case literal:
		p.slot = 1
		return p.node.child(c.levels[depth-1]), true
	}
	n = p.node.children[p.slot]
	p.slot++
	// MQTT 5 §4.7.2: no leading wildcard matches a leading dollar sign.
	if n != nil && depth == 1 && strings.HasPrefix(n.level, "$") {
		return nil, true
	}
	return n, true
}
