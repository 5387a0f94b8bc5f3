package router

import (
	"strings"

	"dormouse/mqttsn/index"
)

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
	index    index.Index // of children, if there have been more than a few
}

// few is how many children need no index.
const few = 4

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

// Value returns where the value of topic is, which ValidTopic has passed, until
// it is deleted. A new topic has the zero value.
func (t *Topics[V]) Value(topic string) *V {
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
		n.set = true
		t.size++
	}
	return &n.value
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
	b := n.branches
	switch {
	case b == nil:
		return nil
	case b.index.Len() == 0:
		for _, child := range b.children {
			if child != nil && child.level == level {
				return child
			}
		}
		return nil
	}
	for slot := range b.index.At(index.Hash(level)) {
		if child := b.children[slot]; child.level == level {
			return child
		}
	}
	return nil
}

func (n *topicNode[V]) grow(level string) *topicNode[V] {
	if n.branches == nil {
		n.branches = new(branches[V])
	}
	b := n.branches
	child := &topicNode[V]{level: level}
	if last := len(b.free) - 1; last >= 0 {
		child.slot = b.free[last]
		b.free = b.free[:last]
		b.children[child.slot] = child
	} else {
		child.slot = int32(len(b.children))
		b.children = append(b.children, child)
	}
	switch {
	case b.index.Len() > 0:
		b.index.Add(index.Hash(level), child.slot)
	case b.len() > few:
		for _, child := range b.children {
			if child != nil {
				b.index.Add(index.Hash(child.level), child.slot)
			}
		}
	}
	return child
}

func (n *topicNode[V]) prune(child *topicNode[V]) {
	b := n.branches
	b.children[child.slot] = nil
	b.free = append(b.free, child.slot)
	switch {
	case b.len() == 0:
		n.branches = nil
	case b.index.Len() > 0:
		b.index.Drop(index.Hash(child.level), child.slot)
	}
}

// len is how many children there are.
func (b *branches[V]) len() int { return len(b.children) - len(b.free) }
