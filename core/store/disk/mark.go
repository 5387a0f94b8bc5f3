package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Each turn of the committer counts up one record, and markFile says from time
// to time how far the disk had it. pebble takes the damaged end of a log for
// the end, as it must after a power cut; a store that comes back with less than
// its mark has lost what was durable.
const (
	markFile  = "MARK"
	markEvery = time.Second
)

func appendTurn(dst []byte, turn uint64) []byte { return binary.AppendUvarint(dst, turn) }

// readTurn is the last turn that is in the store; of none, 0.
func readTurn(db *pebble.DB) (turn uint64, err error) {
	err = each(db, []byte{aTurn}, []byte{aTurn + 1}, func(key, value []byte) error {
		r := unseal(key, value)
		turn = r.uint()
		return r.end(key)
	})
	return turn, err
}

// readMark is the turn that the store in dir must have.
func readMark(in vfs.FS, dir string) (turn uint64, err error) {
	b, err := readFile(in, in.PathJoin(dir, markFile))
	if err != nil {
		return 0, fmt.Errorf("it is damaged: %s: %w", markFile, err)
	}
	r := unseal([]byte(markFile), b)
	turn = r.uint()
	if r.end(nil) != nil {
		return 0, fmt.Errorf("it is damaged: %s: %w", markFile, r.err)
	}
	return turn, nil
}

func writeMark(in vfs.FS, dir string, turn uint64) error {
	b := seal(nil, []byte(markFile), func(b []byte) []byte { return appendTurn(b, turn) })
	return writeFile(in, dir, markFile, b)
}

// checkMark reads the turn of the store and holds it against the mark.
func (s *Store) checkMark() (err error) {
	if s.turn, err = readTurn(s.db); err != nil {
		return err
	}
	if s.turn < s.marked {
		return fmt.Errorf("it is damaged: of %d changes that were durable it has %d: a log or manifest has lost its end, or is missing", s.marked, s.turn)
	}
	return nil
}

// markFirst marks the first turn of a new store, before it is answered for: a
// store of which something was acknowledged is never taken for an empty one.
func (s *Store) markFirst(t turn) {
	if s.blank && t.sync && s.turn > 0 {
		s.blank = false
		s.markAt(s.turn)
	}
}

// mark says how far the disk has it.
func (s *Store) mark() {
	s.mu.Lock()
	turn := s.synced
	s.mu.Unlock()
	s.markAt(turn)
}

// markAt says that the disk has it up to turn, if that is news. Without it only
// the next start knows less of what must be there.
func (s *Store) markAt(turn uint64) {
	s.marking.Lock()
	defer s.marking.Unlock()
	if turn <= s.marked {
		return
	}
	if err := writeMark(s.free.fs, s.dir, turn); err != nil {
		s.o.Log.Warn().Err(err).Str("event", "store_trouble").Msg("cannot write " + markFile)
		return
	}
	s.marked = turn
}

func readFile(in vfs.FS, name string) ([]byte, error) {
	f, err := in.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// writeFile replaces a file of dir, whole or not at all.
func writeFile(in vfs.FS, dir, name string, b []byte) error {
	name = in.PathJoin(dir, name)
	f, err := in.Create(name+newSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := in.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return syncDir(in, dir)
}
