package core

import (
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/router"
	"dormouse/core/store"
	"dormouse/mqttsn/bounds"
)

// Options configure a Broker. Start from [DefaultOptions]: the zero Options
// is not valid.
type Options struct {
	// Now is the clock. Default time.Now.
	Now func() time.Time

	// Store keeps what must outlive the process. Default store.Volatile,
	// which keeps nothing.
	Store store.Store

	// Authorize says whether somebody may do something. It is asked at each publish
	// and subscribe, about a will when the session is opened, and again whenever
	// an [Occasion] comes. It must not block. Default nil: everything is allowed.
	Authorize func(who Identity, a Access) bool

	// Named says whether somebody may go by the client id that he gives. It is
	// asked when a session is opened. Default nil: by any.
	Named func(who Identity) bool

	// BindUsers has a session belong to the user who opened it: nobody of
	// another name, or of none, gets at it while it lasts. That is of use only
	// where names are checked.
	BindUsers bool

	// WritesAhead says of a listener whether the edge writes to Store that it has
	// heard something there before it says so here, and it may be heard again if
	// that is lost. Then nobody sees anything of it, be it at QoS 0, before it is
	// durable that it was heard. Default nil: of none.
	WritesAhead func(listener string) bool

	// Log gets what an operator should see. Default: nothing is logged.
	Log zerolog.Logger

	// MaxSessions bounds the sessions, attached or not. 1 to 100,000,000;
	// default 1,000,000.
	MaxSessions int

	// MaxSubscriptions bounds the subscriptions of one session. 1 to 100,000;
	// default 1000.
	MaxSubscriptions int

	// MaxInflight bounds the messages of one session that were taken from Next
	// and not acknowledged. 1 to 1024; default 64.
	MaxInflight int

	// Topics bounds topics and filters.
	Topics router.Limits

	// Queue bounds what waits for one session.
	Queue QueueLimits

	// Retained bounds the retained messages of all.
	Retained RetainedLimits

	// SysInterval is how often $SYS is published. Zero: never; at most 1 h;
	// default 10 s.
	SysInterval time.Duration

	// Version is what $SYS/broker/version says.
	Version string
}

// QueueLimits bound the messages that wait for one session. Those in flight
// and retained messages still to be replayed do not count.
type QueueLimits struct {
	Messages int      // 1 to 10,000,000; default 1,000
	Bytes    int      // of topics, payloads and properties, 1 KiB to 1 TiB; default 1 MiB
	Overflow Overflow // default DropOldestQoS0First

	// Age is how long a message may wait: one that has waited longer is dropped.
	// Zero: any time; or 1 min to 100 years; default 72 h.
	Age time.Duration
}

// RetainedLimits bound the retained messages.
type RetainedLimits struct {
	Messages     int // 0 to 100,000,000; default 1,000,000
	Bytes        int // of topics, payloads and properties, 0 to 1 TiB; default 1 GiB
	PerPublisher int // messages of one client, 1 to 100,000,000; default 10,000

	// A new subscription gets ReplayAtOnce messages as fast as it takes them,
	// and the rest at ReplayRate a second.
	ReplayAtOnce int     // 1 to 100,000,000; default 10,000
	ReplayRate   float64 // 1 to 10,000,000; default 2,000
}

// An Overflow says which message goes when a queue is full.
type Overflow uint8

const (
	DropOldestQoS0First Overflow = iota // the oldest of QoS 0, or the oldest
	DropOldest
	DropNewest
)

func (o *Options) writtenAhead(listener string) bool {
	return o.WritesAhead != nil && o.WritesAhead(listener)
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{
		Now:              time.Now,
		Store:            store.Volatile{},
		Log:              zerolog.Nop(),
		MaxSessions:      1_000_000,
		MaxSubscriptions: 1000,
		MaxInflight:      64,
		Topics:           router.Limits{Length: 1024, Levels: 32, Wildcards: 8},
		Queue:            QueueLimits{Messages: 1000, Bytes: 1 << 20, Age: 72 * time.Hour},
		Retained: RetainedLimits{Messages: 1_000_000, Bytes: 1 << 30, PerPublisher: 10_000,
			ReplayAtOnce: 10_000, ReplayRate: 2000},
		SysInterval: 10 * time.Second,
		Version:     "dormouse",
	}
}

// Validate reports everything wrong with o, not just the first thing.
func (o *Options) Validate() error {
	var b bounds.Checks
	b.Require(o.Now != nil, "the broker has no clock")
	b.Require(o.Store != nil, "the broker has no store")
	b.Between("limits.max_sessions", o.MaxSessions, 1, 100_000_000)
	b.Between("limits.max_subscriptions_per_client", o.MaxSubscriptions, 1, 100_000)
	b.Between("limits.inflight", o.MaxInflight, 1, 1024)
	b.Between("limits.max_topic_length", o.Topics.Length, 1, 65535)
	b.Between("limits.max_topic_levels", o.Topics.Levels, 1, 128)
	b.Between("limits.max_wildcards_per_filter", o.Topics.Wildcards, 0, 128)
	b.Between("limits.queue.messages", o.Queue.Messages, 1, 10_000_000)
	b.Between("limits.queue.bytes", o.Queue.Bytes, 1<<10, 1<<40)
	b.Require(o.Queue.Overflow <= DropNewest, "limits.queue.overflow is unknown")
	b.Require(o.Queue.Age == 0 || time.Minute <= o.Queue.Age && o.Queue.Age <= 876_000*time.Hour,
		"durability.max_age is %v; it must be 0s, or 1m to 876000h", o.Queue.Age)
	b.Between("limits.retained.messages", o.Retained.Messages, 0, 100_000_000)
	b.Between("limits.retained.bytes", o.Retained.Bytes, 0, 1<<40)
	b.Between("limits.retained.per_publisher", o.Retained.PerPublisher, 1, 100_000_000)
	b.Between("limits.retained.replay_per_subscribe", o.Retained.ReplayAtOnce, 1, 100_000_000)
	b.Require(1 <= o.Retained.ReplayRate && o.Retained.ReplayRate <= 10_000_000,
		"limits.retained.replay_rate is %v; it must be 1/s to 10000000/s", o.Retained.ReplayRate)
	b.Require(0 <= o.SysInterval && o.SysInterval <= time.Hour,
		"sys_topics.interval is %v; it must be 0s to 1h", o.SysInterval)
	return b.Err()
}
