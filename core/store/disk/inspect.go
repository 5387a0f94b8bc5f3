package disk

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
)

// Counts are how many there are of what a store keeps.
type Counts struct {
	Sessions      int `json:"sessions"`
	Subscriptions int `json:"subscriptions"`
	Messages      int `json:"messages"` // each once, whoever is to have it
	Retained      int `json:"retained"` // of them
	Waiting       int `json:"waiting"`  // places in queues
	InFlight      int `json:"in_flight"`
	Accepted      int `json:"accepted"` // QoS 2 identifiers, not released yet

	// Octets that the tables of pebble take, about, without what its logs have
	// not given them yet: sessions with all that is theirs but the messages,
	// messages, and which topics retain one.
	SessionBytes  uint64 `json:"session_bytes"`
	MessageBytes  uint64 `json:"message_bytes"`
	RetainedBytes uint64 `json:"retained_bytes"`
}

func (c Counts) String() string {
	return fmt.Sprintf("%d sessions, %d subscriptions, %d messages, %d retained, %d waiting, %d in flight, %d accepted",
		c.Sessions, c.Subscriptions, c.Messages, c.Retained, c.Waiting, c.InFlight, c.Accepted)
}

// add counts a fact of Load.
func (c *Counts) add(f store.Fact) {
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
}

// Verify reads all of the store in dir, which nobody may have open, and counts
// it, or says what is damaged first. It changes nothing. in may be nil.
func Verify(dir string, in vfs.FS) (Counts, error) {
	return Inspect(dir, in, func(store.Fact) error { return nil })
}

// Inspect is Verify, and visits what is there as Load does.
func Inspect(dir string, in vfs.FS, visit func(store.Fact) error) (c Counts, err error) {
	s := newStore(dir, Options{FS: in})
	err = s.life.guard(func() error { return s.open(true) })
	if err == nil {
		err = s.Load(func(f store.Fact) error {
			c.add(f)
			return visit(f)
		})
		if err == nil {
			err = s.measure(&c)
		}
		err = errors.Join(err, s.closeFiles(func() error { return nil }))
	}
	if err != nil {
		return c, fmt.Errorf("store in %s: %w", dir, err)
	}
	return c, nil
}

// measure counts what Load does not tell of.
func (s *Store) measure(c *Counts) error {
	err := each(s.db, []byte{aRetained}, []byte{aRetained + 1}, func(_, _ []byte) error {
		c.Retained++
		return nil
	})
	for what, octets := range map[byte]*uint64{aSession: &c.SessionBytes, aMessage: &c.MessageBytes, aRetained: &c.RetainedBytes} {
		if err == nil {
			*octets, err = s.db.EstimateDiskUsage([]byte{what}, []byte{what + 1})
		}
	}
	return err
}
