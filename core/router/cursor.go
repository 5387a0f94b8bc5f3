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
		n := c.descend()
		if n == nil {
			c.path = c.path[:len(c.path)-1]
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

// descend returns the next child of the last node on the path that the filter
// allows at its level, or nil.
func (c *Cursor[V]) descend() *topicNode[V] {
	depth := len(c.path)
	p := &c.path[depth-1]
	if depth <= len(c.levels) && c.levels[depth-1] != "+" {
		if p.slot > 0 {
			return nil
		}
		p.slot = 1
		return p.node.child(c.levels[depth-1])
	}
	for p.node.branches != nil && int(p.slot) < len(p.node.children) {
		n := p.node.children[p.slot]
		p.slot++
		// MQTT 5 §4.7.2: no leading wildcard matches a leading dollar sign.
		if n != nil && (depth > 1 || !strings.HasPrefix(n.level, "$")) {
			return n
		}
	}
	return nil
}
