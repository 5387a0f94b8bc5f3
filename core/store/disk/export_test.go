package disk

// Look sees at once whether the disk has room.
func (s *Store) Look() { s.free.look() }

// Mark says at once how far the disk has it.
func Mark(s *Store) { s.mark() }
