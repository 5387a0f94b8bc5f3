package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	memTableSize = 16 << 20 // octets, by default
	cacheSize    = 16 << 20 // octets

	// reclaimEvery is how often a full disk is compacted for what was let go.
	reclaimEvery = 5 * time.Second
)

// Open opens the store in dir, which it makes if there is none. Nobody else
// may have it open, nor be allowed to read it. Load comes next.
func Open(dir string, o Options) (*Store, error) {
	s := newStore(dir, o)
	s.fs = waryFS{s.fs, s.life, s.free}
	if err := s.life.guard(func() error { return s.open(false) }); err != nil {
		return nil, fmt.Errorf("store in %s: %w", dir, err)
	}
	s.free.patient.Store(true)
	s.free.look()
	go s.commit()
	go s.answer()
	go s.watch()
	return s, nil
}

func newStore(dir string, o Options) *Store {
	dir = filepath.Clean(dir) // as pebble has it in the names of its files
	s := &Store{
		dir: dir, o: o, fs: o.FS, life: newLife(),
		committed: make(chan struct{}), allSaid: make(chan struct{}), unwatched: make(chan struct{}),
		state: newState(),
	}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	s.free = newSpace(s.fs, dir, o.DiskFreeMin)
	s.free.most, s.free.used, s.free.waits = o.MaxBytes, s.used, s.unwritten
	s.committer.L, s.answerer.L = &s.mu, &s.mu
	s.life.told = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.committer.Broadcast()
		s.answerer.Broadcast()
	}
	return s
}

// open opens the files, for reading only or for good.
func (s *Store) open(readOnly bool) error {
	s.readOnly = readOnly
	if err := s.directory(readOnly); err != nil {
		return err
	}
	lock, err := s.lockDirectory()
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.openLocked(readOnly); err != nil {
		return errors.Join(err, lock.Close())
	}
	return nil
}

// lockDirectory keeps other processes out.
func (s *Store) lockDirectory() (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(s.dir, s.fs)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w (%w): end that, or set another data_dir", ErrInUse, err)
	}
	return lock, nil
}

func (s *Store) openLocked(readOnly bool) error {
	begun, err := s.readFormat()
	if err != nil {
		return err
	}
	if !begun && readOnly {
		return fmt.Errorf("%w: it is empty", ErrNoStore)
	}
	if !readOnly { // what was left there when somebody was killed
		for _, left := range []string{copyDir, restoreDir} {
			if err := s.free.fs.RemoveAll(s.fs.PathJoin(s.dir, left)); err != nil {
				return err
			}
		}
	}
	if begun {
		s.marked, err = readMark(s.fs, s.dir)
		s.blank = s.marked == 0
	} else {
		s.blank = true
		err = writeFormat(s.fs, s.dir, formatBeginning)
	}
	if err != nil {
		return err
	}
	log := pebbleLog{s.life, s.o.Log}
	s.later = newLater()
	o := &pebble.Options{
		CacheSize:          cacheSize,
		DisableTableStats:  true,
		ErrorIfNotExists:   begun,
		EventListener:      log.listener(),
		FS:                 s.fs,
		FormatMajorVersion: pebble.FormatValueSeparation,
		Lock:               s.lock,
		Logger:             log,
		MemTableSize:       cmp.Or(s.o.MemTable, memTableSize),
		ReadOnly:           readOnly,
	}
	o.Experimental.CompactionScheduler = s.later
	if begun {
		if err := s.peek(o); err != nil {
			return err
		}
	}
	if s.db, err = pebble.Open(s.dir, o); err != nil {
		return err
	}
	if err := s.begin(begun); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// peek sees whether pebble can open what is there, where pebble itself would
// not say which file is the matter.
func (s *Store) peek(o *pebble.Options) error {
	is, err := pebble.Peek(s.dir, s.fs)
	switch {
	case err != nil:
		return err
	case !is.Exists:
		return fmt.Errorf("it is damaged: %s is there, but what pebble keeps with it, such as the file marker.manifest, is missing", formatFile)
	case is.FormatMajorVersion > o.FormatMajorVersion:
		return fmt.Errorf("marker.format-version says %d, this Dormouse knows %d: use a newer one", is.FormatMajorVersion, o.FormatMajorVersion)
	case is.FormatMajorVersion < o.FormatMajorVersion:
		return fmt.Errorf("it is damaged: the file marker.format-version is missing, or does not say %d", o.FormatMajorVersion)
	}
	if is.OptionsFilename == "" {
		return errors.New("it is damaged: the file that begins with OPTIONS is missing")
	}
	o.EnsureDefaults()
	was, err := readFile(s.fs, is.OptionsFilename)
	if err == nil {
		err = o.CheckCompatibility(s.dir, string(was))
	}
	if err != nil {
		return fmt.Errorf("it is damaged: %s: %w", is.OptionsFilename, err)
	}
	return nil
}

// begin sees that nothing is missing, or ends the making of a new store.
func (s *Store) begin(begun bool) error {
	if begun {
		return s.checkMark()
	}
	if err := writeMark(s.fs, s.dir, 0); err != nil {
		return err
	}
	return writeFormat(s.fs, s.dir, formatNow)
}

// directory sees to it that there is one, for us alone.
func (s *Store) directory(readOnly bool) error {
	is, err := s.fs.Stat(s.dir)
	switch {
	case err == nil && !is.IsDir():
		return fmt.Errorf("%w: it is not a directory", ErrNoStore)
	case err == nil && s.o.FS == nil && is.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w (mode %04o): chmod 700 %s", ErrExposed, is.Mode().Perm(), s.dir)
	case errors.Is(err, fs.ErrNotExist) && readOnly:
		return fmt.Errorf("%w: there is no such directory", ErrNoStore)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.free.fs.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return syncDir(s.fs, s.fs.PathDir(s.dir))
}

// syncDir makes durable what was made, renamed and removed in dir.
func syncDir(in vfs.FS, dir string) error {
	d, err := in.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close makes durable what was written, answers all that waits, and ends the
// store. It must not be called from an answer.
func (s *Store) Close() error {
	s.mu.Lock()
	closing := s.closing
	s.closing = true
	s.mu.Unlock()
	if closing {
		return errClosed
	}
	s.committer.Signal()
	s.answerer.Signal()
	s.free.end()
	select {
	case <-s.committed:
	case <-s.life.failed:
	}
	<-s.allSaid
	<-s.unwatched
	if err := s.life.Err(); err != nil {
		return err // pebble may hang; the process ends
	}
	s.endBackups()
	s.mark()
	return s.closeFiles(s.db.Flush)
}

// closeFiles ends what open began, after last.
func (s *Store) closeFiles(last func() error) error {
	return s.life.guard(func() error {
		return errors.Join(last(), s.db.Close(), s.lock.Close())
	})
}

// watch looks after the disk now and then, until Close.
func (s *Store) watch() {
	defer close(s.unwatched)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for marked := time.Now(); ; {
		select {
		case <-s.free.ended:
			return
		case <-s.life.failed:
			return
		case <-tick.C:
		}
		s.free.look()
		if s.free.full.Load() && s.free.stuck.Load() == 0 {
			s.reclaim()
		}
		if time.Since(marked) >= markEvery {
			s.mark()
			marked = time.Now()
		}
	}
}

// reclaim has pebble give back the room of what was let go.
func (s *Store) reclaim() {
	if time.Since(s.reclaimed) < reclaimEvery {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.free.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := s.life.guard(func() error { return s.db.Compact(ctx, []byte{0}, []byte{0xff}, false) })
	if err != nil && ctx.Err() == nil {
		s.o.Log.Warn().Err(err).Str("event", "store_trouble").Msg("cannot compact the store")
	}
	s.reclaimed = time.Now()
}
