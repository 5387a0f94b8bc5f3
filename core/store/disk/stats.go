package disk

import (
	"sync/atomic"
	"time"
)

// Stats are the figures of a Store, counted since Open.
type Stats struct {
	Bytes       uint64 // that its files take
	Free        uint64 // octets of the disk, when last looked at
	Full        error  // why Write refuses what needs room, or nil
	Refused     uint64 // Writes, for want of room
	TooFast     uint64 // Writes refused because too much waits for the disk
	Waiting     int    // Syncs and Follows to be answered
	Unwritten   int    // octets in memory, about, that wait for the disk
	Commits     uint64
	Syncs       Latency // of the commits that were synced
	Flushes     uint64  // of what was in memory to a file of its own
	Compactions uint64  // of such files
}

// A Latency is how long something took.
type Latency struct {
	Count  uint64
	Sum    time.Duration
	Within map[time.Duration]uint64 // how many took that long at most
}

// SyncBounds are those of Stats.Syncs: from a disk with a battery to a memory
// card.
var SyncBounds = [...]time.Duration{
	100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond,
	30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second,
}

// tally is what Stats is made of.
type tally struct {
	refused, tooFast, commits atomic.Uint64
	syncs                     [len(SyncBounds) + 1]atomic.Uint64 // the last took longer
	syncTime                  atomic.Int64                       // nanoseconds
}

// took counts a turn of the committer.
func (c *tally) took(t turn, d time.Duration) {
	if len(t.facts) > 0 {
		c.commits.Add(1)
	}
	if !t.sync {
		return
	}
	i := 0
	for i < len(SyncBounds) && d > SyncBounds[i] {
		i++
	}
	c.syncs[i].Add(1)
	c.syncTime.Add(int64(d))
}

// Stats returns the figures.
func (s *Store) Stats() Stats {
	m := s.db.Metrics()
	r := Stats{
		Bytes:   m.DiskSpaceUsage(),
		Free:    s.free.avail.Load(),
		Refused: s.refused.Load(),
		TooFast: s.tooFast.Load(),
		Commits: s.commits.Load(),
		Syncs:   Latency{Sum: time.Duration(s.syncTime.Load()), Within: make(map[time.Duration]uint64)},
	}
	r.Full = s.Full()
	r.Waiting, r.Unwritten = s.waits(), s.unwritten()
	r.Flushes, r.Compactions = uint64(m.Flush.Count), uint64(m.Compact.Count)
	for i := range s.syncs {
		r.Syncs.Count += s.syncs[i].Load()
		if i < len(SyncBounds) {
			r.Syncs.Within[SyncBounds[i]] = r.Syncs.Count
		}
	}
	return r
}

// Full is why Write refuses what needs room, or nil.
func (s *Store) Full() error {
	if !s.free.full.Load() {
		return nil
	}
	return s.free.refusal()
}

// used is the octets that what is kept takes in the files of pebble: without
// logs, or their ends, that are only there to be written over, and without what
// goes when files have been merged.
func (s *Store) used() uint64 {
	m := s.db.Metrics()
	total := m.Total()
	return uint64(total.TablesSize) + m.WAL.Size + m.BlobFiles.LiveSize
}

// waits is how many wait for an answer.
func (s *Store) waits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.asked - s.answered)
}

// unwritten is the octets, about, that the committer has yet to write.
func (s *Store) unwritten() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued + s.committing
}
