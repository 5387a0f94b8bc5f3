package core

// A deadline is a place in a deadlines heap, to be embedded in what has one:
// one more than the index, or zero for none.
type deadline int32

func (d *deadline) place() *deadline { return d }

type timed interface{ place() *deadline }

// deadlines is a heap of what falls due. Setting and cancelling take
// logarithmic time; what has no deadline costs nothing here.
type deadlines[T timed] struct{ heap []falling[T] }

type falling[T timed] struct {
	at   int64 // nanoseconds since 1970
	what T
}

// set gives x the deadline at, in place of any that it had.
func (d *deadlines[T]) set(x T, at int64) {
	p := x.place()
	if *p == 0 {
		d.heap = append(d.heap, falling[T]{what: x})
		*p = deadline(len(d.heap))
	}
	i := int(*p) - 1
	d.heap[i].at = at
	d.down(d.up(i))
}

// cancel takes x's deadline away, if it has one.
func (d *deadlines[T]) cancel(x T) {
	p := x.place()
	if *p == 0 {
		return
	}
	i, last := int(*p)-1, len(d.heap)-1
	d.swap(i, last)
	*p = 0
	clear(d.heap[last:])
	d.heap = d.heap[:last]
	if i < last {
		d.down(d.up(i))
	}
}

// next takes out one whose deadline is not after now.
func (d *deadlines[T]) next(now int64) (x T, ok bool) {
	if len(d.heap) == 0 || d.heap[0].at > now {
		return x, false
	}
	x = d.heap[0].what
	d.cancel(x)
	return x, true
}

func (d *deadlines[T]) swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	*d.heap[i].what.place() = deadline(i + 1)
	*d.heap[j].what.place() = deadline(j + 1)
}

func (d *deadlines[T]) up(i int) int {
	for parent := (i - 1) / 2; i > 0 && d.heap[i].at < d.heap[parent].at; parent = (i - 1) / 2 {
		d.swap(i, parent)
		i = parent
	}
	return i
}

func (d *deadlines[T]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(d.heap); child++ {
			if d.heap[child].at < d.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		d.swap(i, least)
		i = least
	}
}
