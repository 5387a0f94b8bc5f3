// Package disk is the durable store.Store, on pebble: what a Sync has answered
// for is on the disk, and comes back after a power cut, or the store says what
// is damaged.
//
// Write only appends to a list in memory. One goroutine, the committer, takes
// all of that list at once, makes it one batch and has pebble sync it; another
// answers, first in first out. So whoever waits shares a sync with all who came
// while the last one was under way, and half a Write is never seen.
//
// What is kept, each record behind a version octet and before a CRC-32C of its
// key and itself (see seal). Sessions and messages go by number, which big
// endian in a key makes an order:
//
//	key                                   value
//	m Seq(8)                              a message, once whatever the fan-out
//	s Number(5) 0                         a session: client id, user, expiry, end, will, edge state
//	s Number(5) 1 Filter                  a subscription: its options
//	s Number(5) 2 Packet Identifier(2)    of a QoS 2 message that was accepted; written with the message
//	s Number(5) 3 Packet Identifier(2)    a message in flight: order, Seq, how it is delivered, whether received
//	s Number(5) 4 Seq(8) Share            a message waits: how it is to be delivered
//	t Topic                               Seq of the retained message, its author
//	n                                     how many turns the committer had
//
// A message goes with its last holder: a session that it waits for or is in
// flight to, or the topic that retains it. In memory is the number of each
// client id, where each message waits, what is in flight and, of a message that
// more than one hold, how many; the disk, in the committer's hands alone, knows
// the rest.
//
// A directory holds the files of pebble, FORMAT, which says whose they are, and
// MARK, which says how much must be in them.
package disk

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"dormouse/core/store"
)

// When what was written is made durable, for Options.Sync.
const (
	SyncAlways time.Duration = 0  // before the answer
	SyncNever  time.Duration = -1 // when the system sees fit
)

// Options are how a Store keeps. The zero Options are valid.
type Options struct {
	// Sync is SyncAlways, with which nothing is lost that was answered for, or
	// how long after the answer it may still be lost with the process or the
	// power, or SyncNever: a second with the process, and with the power as
	// long as the system keeps it to itself.
	Sync time.Duration

	// DiskFreeMin is how many octets of the disk stay free: below that Write
	// refuses what needs more. Zero: all may be used.
	DiskFreeMin uint64

	// MaxBytes is how many octets the store may take: beyond that Write refuses
	// likewise. Logs that are written over again and the merging of files come
	// on top, at most 16 times MemTable. Zero: any number.
	MaxBytes uint64

	// MemTable is how many octets that were written lately stay in memory, two
	// or three times, before they become a file of their own: 1 KiB or more.
	// Zero: 16 MiB.
	MemTable uint64

	// FS is where the directory is. Nil: the file system of the machine.
	FS vfs.FS

	// Log is told of what does not stop the store.
	Log zerolog.Logger
}

// A Store is a store.Store in a directory. Open opens one.
type Store struct {
	dir      string
	o        Options
	fs       vfs.FS
	db       *pebble.DB
	lock     *pebble.Lock
	life     *life
	later    *later
	readOnly bool
	free     *space
	backup   backingUp
	tally

	reclaimed time.Time // when the disk was last compacted because it is full
	marking   sync.Mutex
	marked    uint64 // what the mark says; guarded by marking once Open has returned

	blank bool // a new store, of which the mark says nothing yet; the committer's
	state      // the committer's, and Load's before it

	mu         sync.Mutex
	committer  sync.Cond // waits for work
	answerer   sync.Cond // waits for what may be answered
	queue      []store.Fact
	queued     int           // octets that queue takes, about
	waiting    []func(error) // Syncs and Follows that the answerer has not taken, the oldest first
	asked      uint64        // Syncs and Follows that ever came
	wanted     uint64        // of them, up to the last Sync
	taken      uint64        // of them, whose facts the committer has taken
	durable    uint64        // of them, that may be answered
	answered   uint64        // of them, that were
	expected   uint64        // of those not taken, for how many the committer waits; 0: any
	working    bool          // the committer has a turn
	committing int           // octets that it takes, about
	due        bool          // facts have waited long enough though nobody asks
	over       bool          // what is dirty has been so long enough
	dirty      bool          // something was committed without a sync
	synced     uint64        // the last turn that the disk has
	closing    bool          // nothing is taken any more
	idle       bool          // the committer has ended
	committed  chan struct{} // closed when the committer has ended
	allSaid    chan struct{} // closed when the answerer has
	unwatched  chan struct{} // closed when the watch has
}
