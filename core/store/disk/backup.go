package disk

import (
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
)

// Checkpoint makes dir, which must not exist, a copy of the store as it is at
// some instant of the call, with all that was durable before. It may be called
// at any time and takes little room on the same disk, where files are linked.
// The copy appears whole or not at all.
func (s *Store) Checkpoint(dir string) error {
	if err := s.life.guard(func() error { return s.checkpoint(dir) }); err != nil {
		return fmt.Errorf("backup to %s: %w", dir, err)
	}
	return nil
}

func (s *Store) checkpoint(dir string) error {
	if _, err := s.fs.Stat(dir); err == nil {
		return errors.New("it exists: name a directory that does not")
	}
	s.mu.Lock()
	turn := s.synced
	s.mu.Unlock()
	part := dir + newSuffix
	if err := s.fs.RemoveAll(part); err != nil {
		return err
	}
	// Within a directory of ours alone, nobody sees what pebble makes.
	inner := s.fs.PathJoin(part, "store")
	err := s.fs.MkdirAll(part, 0o700)
	if err == nil {
		err = s.db.Checkpoint(inner, pebble.WithFlushedWAL())
	}
	if err == nil {
		err = writeMark(s.fs, inner, turn)
	}
	if err == nil {
		err = writeFormat(s.fs, inner, formatNow)
	}
	if err == nil && s.o.FS == nil {
		err = os.Chmod(inner, 0o700)
	}
	if err == nil {
		err = s.fs.Rename(inner, dir)
	}
	if err == nil {
		err = syncDir(s.fs, s.fs.PathDir(dir))
	}
	return errors.Join(err, s.fs.RemoveAll(part))
}

// Counts are how many there are of what a store keeps.
type Counts struct {
	Sessions, Subscriptions, Messages, Waiting, InFlight, Accepted int
}

func (c Counts) String() string {
	return fmt.Sprintf("%d sessions, %d subscriptions, %d messages, %d waiting, %d in flight, %d accepted",
		c.Sessions, c.Subscriptions, c.Messages, c.Waiting, c.InFlight, c.Accepted)
}

// Verify reads all of the store in dir, which nobody may have open, and counts
// it, or says what is damaged first. It changes nothing. fs may be nil.
func Verify(dir string, fs vfs.FS) (c Counts, err error) {
	err = Inspect(dir, fs, func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Session:
			c.Sessions++
		case *store.Subscribed:
			c.Subscriptions++
		case *store.Published:
			c.Messages++
			for range f.Receivers {
				c.Waiting++
			}
		case *store.Taken:
			c.InFlight++
		case *store.Accepted:
			c.Accepted++
		}
		return nil
	})
	return c, err
}

// Inspect visits what is in the store in dir, which nobody may have open, as
// Load does, and changes nothing. fs may be nil.
func Inspect(dir string, fs vfs.FS, visit func(store.Fact) error) error {
	s := newStore(dir, Options{FS: fs})
	err := s.life.guard(func() error { return s.open(true) })
	if err == nil {
		err = s.Load(visit)
		err = errors.Join(err, s.closeFiles(func() error { return nil }))
	}
	if err != nil {
		return fmt.Errorf("store in %s: %w", dir, err)
	}
	return nil
}
