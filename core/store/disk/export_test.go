package disk

// Look sees at once whether the disk has room.
func (s *Store) Look() { s.free.look() }
