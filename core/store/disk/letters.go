package disk

import (
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"dormouse/core/store"
)

// A letter is a message and its number.
type letter struct {
	seq uint64
	store.Message
}

const (
	// lettersParts is into how many parts messages are cut to be read at once.
	lettersParts = 64

	// lettersAhead is how many messages are handed on at once, and
	// lettersQueued how many times that may wait for the one that visits.
	lettersAhead  = 256
	lettersQueued = 16
)

// A part is the messages of a range, as they are read.
type part struct {
	read chan []letter // closed at the end
	err  error         // to be read after that
	used chan []letter // to be filled again: a million letters are not to be a million pieces of garbage
}

// letters visits all messages in order, each until visit returns. As many are
// read at once as there are processors.
func letters(db *pebble.DB, visit func(seq uint64, m *store.Message) error) error {
	first, last, err := extent(db)
	if err != nil || last < first {
		return err
	}
	step := (last-first)/lettersParts + 1
	used := make(chan []letter, lettersQueued)
	parts := make([]*part, 0, lettersParts)
	for from := first; from <= last; from += step {
		parts = append(parts, &part{read: make(chan []letter, lettersQueued), used: used})
		if from+step < from {
			break
		}
	}
	var (
		quit    = make(chan struct{})
		next    = make(chan int, len(parts))
		readers sync.WaitGroup
	)
	for i := range parts {
		next <- i
	}
	close(next)
	for range min(len(parts), runtime.GOMAXPROCS(0)) {
		readers.Go(func() {
			for i := range next {
				from := first + uint64(i)*step
				parts[i].fill(db, from, min(last-from, step-1)+from, quit)
			}
		})
	}
	defer readers.Wait()
	defer close(quit)
	for _, p := range parts {
		for some := range p.read {
			for i := range some {
				if err := visit(some[i].seq, &some[i].Message); err != nil {
					return err
				}
			}
			select {
			case used <- some:
			default:
			}
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// extent is the numbers of the first message and the last; of none, 1 and 0.
func extent(db *pebble.DB) (first, last uint64, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{aMessage}, UpperBound: []byte{aMessage + 1}})
	if err != nil {
		return 0, 0, err
	}
	first = 1
	if it.First() {
		first, err = messageSeq(it.Key())
	}
	if err == nil && it.Last() {
		last, err = messageSeq(it.Key())
	}
	if e := it.Error(); err == nil {
		err = e
	}
	if e := it.Close(); err == nil {
		err = e
	}
	return first, last, err
}

func messageSeq(key []byte) (uint64, error) {
	if len(key) != 1+seqSize {
		return 0, damaged(key, errKey)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// fill reads the messages from the one to the other, both included, until
// someone quits.
func (p *part) fill(db *pebble.DB, from, to uint64, quit <-chan struct{}) {
	defer close(p.read)
	some := p.blank()
	hand := func() bool {
		select {
		case p.read <- some:
			some = p.blank()
			return true
		case <-quit:
			return false
		}
	}
	end := append(messageKey(nil, to), 0)
	p.err = each(db, messageKey(nil, from), end, func(key, value []byte) error {
		seq, err := messageSeq(key)
		if err != nil {
			return err
		}
		r := unseal(key, value)
		m := r.message()
		if err := r.end(key); err != nil {
			return err
		}
		some = append(some, letter{seq, m})
		if len(some) == cap(some) && !hand() {
			return errQuit
		}
		return nil
	})
	if len(some) > 0 {
		hand()
	}
}

// blank is room for letters.
func (p *part) blank() []letter {
	select {
	case used := <-p.used:
		return used[:0]
	default:
		return make([]letter, 0, lettersAhead)
	}
}
