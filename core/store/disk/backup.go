package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What is for a while in the directory of a store: the copy that a backup is
// made of, and the backup that is to become the store. Neither is of use to who
// comes later.
const (
	copyDir    = "backup" + newSuffix
	restoreDir = "restore" + newSuffix
)

var errBackingUp = errors.New("another backup is under way: wait for it")

// backingUp is the making of backups.
type backingUp struct {
	one  sync.Mutex // there is one at a time
	mu   sync.Mutex // guards pebble from being closed while it copies
	over bool       // it is closed
}

// Backup writes a backup to w: the store as it is at some instant of the call,
// with all that was durable before. The store goes on meanwhile, and writes
// nothing but the backup again to its disk, where files are linked.
func (s *Store) Backup(w io.Writer) error {
	if !s.backup.one.TryLock() {
		return errBackingUp
	}
	defer s.backup.one.Unlock()
	dir := s.fs.PathJoin(s.dir, copyDir)
	err := s.copyTo(dir)
	if err == nil {
		err = pack(w, s.free.fs, s.free.fs.PathJoin(dir, "store"))
	}
	if err = errors.Join(err, s.free.fs.RemoveAll(dir)); err != nil {
		return fmt.Errorf("backup of %s: %w", s.dir, err)
	}
	return nil
}

// copyTo makes dir, with a copy of the store in it.
func (s *Store) copyTo(dir string) error {
	s.backup.mu.Lock()
	defer s.backup.mu.Unlock()
	switch {
	case s.backup.over:
		return errClosed
	case s.free.stuck.Load() > 0: // pebble would wait for room
		return s.free.refusal()
	}
	if err := s.free.fs.RemoveAll(dir); err != nil {
		return err
	}
	if err := s.free.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s.mu.Lock()
	turn := s.synced
	s.mu.Unlock()
	in := s.free.fs.PathJoin(dir, "store")
	err := s.life.guard(func() error { return s.db.Checkpoint(in, pebble.WithFlushedWAL()) })
	if err == nil {
		err = writeMark(s.free.fs, in, turn)
	}
	if err == nil {
		err = writeFormat(s.free.fs, in, formatNow)
	}
	return err
}

// endBackups has none begin any more, and waits for what pebble does for one.
func (s *Store) endBackups() {
	s.backup.mu.Lock()
	s.backup.over = true
	s.backup.mu.Unlock()
}

// VerifyBackup reads all of a backup and counts what is in it, or says what is
// wrong. It takes a directory that is empty, and as much room in it as the store
// needs; what it leaves there is of no use. in may be nil.
func VerifyBackup(r io.Reader, in vfs.FS, dir string) (Counts, error) {
	if in == nil {
		in = vfs.Default
	}
	if err := unpack(r, in, dir); err != nil {
		return Counts{}, err
	}
	return Verify(dir, in)
}

// Restore makes a backup the store in dir, which must be empty or not there,
// and counts what is in it. Whatever stops it, even the power, dir is all of the
// store or none: at the worst one that Open refuses. in may be nil.
func Restore(r io.Reader, in vfs.FS, dir string) (c Counts, err error) {
	s := newStore(dir, Options{FS: in})
	_, err = s.fs.Stat(s.dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := s.directory(false); err != nil {
		return c, fmt.Errorf("store in %s: %w", dir, err)
	}
	lock, err := s.lockDirectory()
	if err != nil {
		return c, fmt.Errorf("store in %s: %w", dir, err)
	}
	c, err = s.restore(r)
	err = errors.Join(err, lock.Close())
	if err != nil {
		err = fmt.Errorf("restore to %s: %w", dir, err)
	}
	if err != nil && made {
		err = errors.Join(err, s.fs.RemoveAll(s.dir))
	}
	return c, err
}

func (s *Store) restore(r io.Reader) (c Counts, err error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return c, err
	}
	for _, name := range names {
		if !slices.Contains(mayBeThere, name) {
			return c, fmt.Errorf("%w: it has %s in it: move that away, or set another data_dir", ErrNotEmpty, name)
		}
	}
	from := s.fs.PathJoin(s.dir, restoreDir)
	if err := s.fs.RemoveAll(from); err != nil {
		return c, err
	}
	if err := s.fs.MkdirAll(from, 0o700); err != nil {
		return c, err
	}
	c, err = VerifyBackup(r, s.fs, from)
	if err == nil {
		err = forgetNotes(s.fs, from)
	}
	if err == nil {
		err = s.moveIn(from)
	}
	return c, errors.Join(err, s.fs.RemoveAll(from))
}

// forgetNotes takes out of the store in dir what transports have noted. It tells
// which numbers have not been used yet, and has since been overtaken.
func forgetNotes(in vfs.FS, dir string) error {
	s := newStore(dir, Options{FS: in})
	s.fs = waryFS{s.fs, s.life, s.free}
	return s.life.guard(func() error {
		if err := s.open(false); err != nil {
			return err
		}
		err := s.db.DeleteRange([]byte{aNote}, []byte{aNote + 1}, pebble.Sync)
		return errors.Join(err, s.closeFiles(s.db.Flush))
	})
}

// moveIn moves the files of a store into the directory. The one that says that
// it is a store is the last.
func (s *Store) moveIn(from string) error {
	names, err := s.fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == formatFile || name == lockFile {
			continue
		}
		if err := s.fs.Rename(s.fs.PathJoin(from, name), s.fs.PathJoin(s.dir, name)); err != nil {
			return err
		}
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return err
	}
	if err := s.fs.Rename(s.fs.PathJoin(from, formatFile), s.fs.PathJoin(s.dir, formatFile)); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}
