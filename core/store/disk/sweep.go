package disk

import (
	"cmp"
	"slices"
)

// Over is what is to be removed from the disk, put off to the end of the batch
// or until something is read: of messages that one subscriber acknowledges in
// order, one after another, a single removal does for many. That takes a quarter
// off what the store costs each of them, half of it in compactions.
type over struct {
	messages []uint64
	waiting  []spot // by an ordinary subscription
	key      []byte // to be used again; writer.key may be about to be read
}

const (
	// manyAtOnce is from how many on they are removed as a range: pebble keeps
	// each range in order, too.
	manyAtOnce = 8

	// likelyFor is for how many batches after one that has read from the disk
	// there are no ranges: the next read after one has pebble sort all that its
	// memtable has, which takes up to 12 ms, instead of 0.1.
	likelyFor = 1000
)

// unwaits has a message wait no more, which does.
func (w *writer) unwaits(n number, seq uint64, share string) {
	if share != "" {
		w.remove(waitingKey(w.key[:0], n, seq, share))
		return
	}
	w.over.waiting = append(w.over.waiting, spot{n, seq})
}

// sweep removes what is over.
func (w *writer) sweep() {
	slices.Sort(w.over.messages)
	next := func(a, b uint64) bool { return b == a+1 }
	for run := range runs(w.over.messages, next) {
		w.removeRun(run[0], len(run), messageKey)
	}
	slices.SortFunc(w.over.waiting, func(a, b spot) int { return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.seq, b.seq)) })
	// A message may wait for the same session by a shared subscription, too.
	alone := len(w.debts.shared) == 0
	behind := func(a, b spot) bool { return alone && b == spot{a.to, a.seq + 1} }
	for run := range runs(w.over.waiting, behind) {
		w.removeRun(run[0].seq, len(run), func(dst []byte, seq uint64) []byte { return waitingKey(dst, run[0].to, seq, "") })
	}
	w.over.messages, w.over.waiting = w.over.messages[:0], w.over.waiting[:0]
}

// runs yields the parts of all in which each is followed by its next.
func runs[T any](all []T, next func(a, b T) bool) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		from := 0
		for i := range all {
			if i+1 < len(all) && next(all[i], all[i+1]) {
				continue
			}
			if !yield(all[from : i+1]) {
				return
			}
			from = i + 1
		}
	}
}

// removeRun removes the records at n keys of messages from seq on, which are all
// that there are between the first and the last.
func (w *writer) removeRun(seq uint64, n int, key func(dst []byte, seq uint64) []byte) {
	from := key(w.over.key[:0], seq)
	w.over.key = from
	if n >= manyAtOnce && w.likely == 0 {
		w.fail(w.batch.DeleteRange(from, key(nil, seq+uint64(n)), nil))
		return
	}
	for i := range uint64(n) {
		w.fail(w.batch.Delete(key(w.over.key[:0], seq+i), nil))
	}
}
