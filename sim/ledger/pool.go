package ledger

// A pool holds what is still open of all devices, in lists that are linked by
// index: nothing in it is a pointer, and a device without anything open costs
// the head of its list. Index 0 ends a list.
type pool[T any] struct {
	nodes []node[T]
	spare uint32
}

type node[T any] struct {
	v    T
	next uint32
}

// add puts v at the head of a list. Pointers into the pool do not survive it.
func (p *pool[T]) add(head *uint32, v T) *T {
	i := p.spare
	if i != 0 {
		p.spare = p.nodes[i].next
	} else {
		if len(p.nodes) == 0 {
			p.nodes = append(p.nodes, node[T]{})
		}
		i = uint32(len(p.nodes))
		p.nodes = append(p.nodes, node[T]{})
	}
	p.nodes[i] = node[T]{v, *head}
	*head = i
	return &p.nodes[i].v
}

// find returns the newest of a list that fits, or nil.
func (p *pool[T]) find(head uint32, fits func(*T) bool) *T {
	for i := head; i != 0; i = p.nodes[i].next {
		if v := &p.nodes[i].v; fits(v) {
			return v
		}
	}
	return nil
}

// each visits a list, newest first, and takes out what visit is done with. It
// may not add.
func (p *pool[T]) each(head *uint32, visit func(*T) (done bool)) {
	for link := head; *link != 0; {
		i := *link
		n := &p.nodes[i]
		if !visit(&n.v) {
			link = &n.next
			continue
		}
		*link = n.next
		*n = node[T]{next: p.spare}
		p.spare = i
	}
}
