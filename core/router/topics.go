package router

import "strings"

// Topics is a set of topics with a value each, which a Cursor walks by filter.
// It is a tree of levels. Walking may run concurrently with walking; Set and
// Delete exclude all else.
type Topics[V any] struct {
	root topicNode[V]
	size int
}

// A topicNode is one level of topics. Its children keep their slot as long as
// they live, so that a Cursor needs no more than a slot number to go on.
type topicNode[V any] struct {
	level string
	slot  int32 // in the parent's children
	set   bool
	value V

	*branches[V] // nil in a leaf
}

type branches[V any] struct {
	children []*topicNode[V] // nil: free
	free     []int32
	byLevel  map[string]*topicNode[V]
}

// Len is the number of topics.
func (t *Topics[V]) Len() int { return t.size }

// Find returns the value of topic.
func (t *Topics[V]) Find(topic string) (v V, ok bool) {
	n := &t.root
	for level, more := "", true; more; {
		level, topic, more = strings.Cut(topic, "/")
		if n = n.child(level); n == nil {
			return v, false
		}
	}
	return n.value, n.set
}

// Set gives topic, which ValidTopic has passed, the value v.
func (t *Topics[V]) Set(topic string, v V) {
	n := &t.root
	for level, more := "", true; more; {
		level, topic, more = strings.Cut(topic, "/")
		child := n.child(level)
		if child == nil {
			child = n.grow(level)
		}
		n = child
	}
	if !n.set {
		t.size++
	}
	n.set, n.value = true, v
}

// Delete removes topic, and reports whether it was there.
func (t *Topics[V]) Delete(topic string) bool {
	if !t.root.delete(topic) {
		return false
	}
	t.size--
	return true
}

func (n *topicNode[V]) delete(topic string) bool {
	level, rest, more := strings.Cut(topic, "/")
	child := n.child(level)
	switch {
	case child == nil:
		return false
	case more:
		if !child.delete(rest) {
			return false
		}
	case !child.set:
		return false
	default:
		var none V
		child.set, child.value = false, none
	}
	if !child.set && child.branches == nil {
		n.prune(child)
	}
	return true
}

func (n *topicNode[V]) child(level string) *topicNode[V] {
	if n.branches == nil {
		return nil
	}
	return n.byLevel[level]
}

func (n *topicNode[V]) grow(level string) *topicNode[V] {
	if n.branches == nil {
		n.branches = &branches[V]{byLevel: make(map[string]*topicNode[V])}
	}
	child := &topicNode[V]{level: level}
	if last := len(n.free) - 1; last >= 0 {
		child.slot = n.free[last]
		n.free = n.free[:last]
		n.children[child.slot] = child
	} else {
		child.slot = int32(len(n.children))
		n.children = append(n.children, child)
	}
	n.byLevel[level] = child
	return child
}

func (n *topicNode[V]) prune(child *topicNode[V]) {
	delete(n.byLevel, child.level)
	if len(n.byLevel) == 0 {
		n.branches = nil
		return
	}
	n.children[child.slot] = nil
	n.free = append(n.free, child.slot)
}
