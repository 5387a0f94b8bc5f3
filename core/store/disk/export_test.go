package disk

// Pack and Unpack make and take apart the file of a backup.
var Pack, Unpack = pack, unpack

// Look sees at once whether the disk has room.
func (s *Store) Look() { s.free.look() }

// Mark says at once how far the disk has it.
func Mark(s *Store) { s.mark() }

// MayCompact reports whether a compaction may begin now.
func (s *Store) MayCompact() bool {
	ok, turn := s.later.TrySchedule()
	if ok {
		turn.Done()
	}
	return ok
}

// Looks is how often pebble has looked for a block of its files.
func Looks(s *Store) int64 {
	c := s.db.Metrics().BlockCache
	return c.Hits + c.Misses
}

// Logged is the octets that pebble was given for its log.
func Logged(s *Store) uint64 { return s.db.Metrics().WAL.BytesIn }

// Owed is how many messages a Store that is closed knew to wait or to be in
// flight.
func Owed(s *Store) int {
	d := &s.debts
	return len(d.waiting) + len(d.shared) + len(d.flying)
}
