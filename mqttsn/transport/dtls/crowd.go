package dtls

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"dormouse/mqttsn/transport/dtls/record"
)

// This file is what happens if there are more associations than may be.

const (
	looked = 16 // associations of each part that crowdOut looks at: all, if there are no more
	spared = 60 // seconds for which one that was heard is never crowded out
)

// crowdOut ends the association that was silent for longest of some that it
// looks at, so that there is room for another; rather one that has never said
// anything, as after a handshake that was done for nothing. It reports whether
// there was any.
func (l *Listener) crowdOut() bool {
	now := seconds(l.cfg.Clock())
	var longest association
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		for slot := range min(looked, p.made) {
			if p.made > looked {
				slot = rand.Int32N(p.made)
			}
			if a := p.at(slot); a.number != 0 && now-a.seen >= spared && (longest.number == 0 || a.lesserThan(&longest)) {
				longest = *a
			}
		}
		p.mu.Unlock()
	}
	ended := false
	l.with(longest.number, func(p *part, slot int32) {
		if ended = p.at(slot).seen == longest.seen; ended {
			l.leave(p, slot, Crowded)
		}
	})
	if ended {
		l.keepEnded(longest.ID)
	}
	return ended
}

// mute reports whether nothing came of a since its handshake.
func (a *association) mute() bool { return a.Received == 0 }

// lesserThan reports whether a is to go rather than b.
func (a *association) lesserThan(b *association) bool {
	if a.mute() != b.mute() {
		return a.mute()
	}
	return a.seen < b.seen
}

// fewest leaves as many as may be of those that were kept, and returns who had
// to go: those that were silent for longest.
func (l *Listener) fewest(all []restored) (stay []restored, gone []record.ID) {
	if len(all) <= l.cfg.MaxAssociations {
		return all, nil
	}
	slices.SortFunc(all, func(a, b restored) int { return cmp.Compare(b.seen, a.seen) })
	for _, r := range all[l.cfg.MaxAssociations:] {
		gone = append(gone, r.ID)
		l.count.ended[Crowded].Add(1)
	}
	return all[:l.cfg.MaxAssociations], gone
}
