package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/admin"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/store/disk"
)

// This file is the store as a server has it: opened, watched and told of.

// diskOptions are those of the store that c describes.
func diskOptions(c *config.Config, log zerolog.Logger) disk.Options {
	return disk.Options{
		Sync:        time.Duration(c.Durability.Sync),
		DiskFreeMin: uint64(c.Limits.DiskFreeMin),
		MaxBytes:    uint64(c.Durability.MaxBytes),
		Log:         log.With().Str("component", "store").Logger(),
	}
}

// A keeping is a store and what is promised of it.
type keeping struct {
	*disk.Store // nil: nothing is kept
	sync        config.Sync
	log         zerolog.Logger
	full        bool // as the log knows

	notes map[string][]byte // of transports, between restore and forgetNotes
	marks []byte            // the secret, once it was asked for

	mu     sync.Mutex
	joined joined    // the next Sync is theirs, too
	since  time.Time // when the first of them came
	timed  bool      // syncJoined will be called

	had  core.Stats    // what was kept at the start
	took time.Duration // to take it up
}

// openStore opens the store that c describes, if it is to be on disk.
func openStore(c *config.Config, log zerolog.Logger) (*keeping, error) {
	k := &keeping{sync: c.Durability.Sync, log: log}
	if c.Durability.Store == "memory" {
		return k, nil
	}
	dir, err := filepath.Abs(c.DataDir)
	if err == nil {
		k.Store, err = disk.Open(dir, diskOptions(c, log))
	}
	if err != nil {
		return nil, storeFailure(err)
	}
	return k, nil
}

// storeFailure is err, which says why a store cannot be opened, with the exit
// status for it: it is for somebody else, it is none, or else it is damaged or
// the disk fails.
func storeFailure(err error) error {
	for status, whys := range map[int][]error{
		statusBind:  {disk.ErrInUse, disk.ErrExposed, fs.ErrPermission, syscall.EROFS},
		statusUsage: {disk.ErrNoStore, disk.ErrNotEmpty},
	} {
		for _, why := range whys {
			if errors.Is(err, why) {
				return &failure{status, err}
			}
		}
	}
	return err
}

// promise is what an acknowledgement is worth, in a word.
func (k *keeping) promise() string {
	if k.Store == nil {
		return "memory"
	}
	return k.sync.String()
}

// caveat says what is not safe, or nothing.
func (k *keeping) caveat() string {
	switch {
	case k.Store == nil:
		return "Nothing is on disk: whatever was acknowledged ends with the process. See durability.store."
	case k.sync == config.SyncNone:
		return "What was acknowledged may be lost with the process or the power. See durability.sync."
	case k.sync != config.SyncAlways:
		return fmt.Sprintf("What was acknowledged in the last %v may be lost with the process or the power. See durability.sync.", config.Duration(k.sync))
	}
	return ""
}

// restore has broker take up what was kept.
func (k *keeping) restore(broker *core.Broker) error {
	if k.Store == nil {
		return nil
	}
	began := time.Now()
	if err := broker.Restore(); err != nil {
		return fmt.Errorf("the store cannot be read: %w", err)
	}
	durable := make(chan error, 1)
	k.Store.Sync(func(err error) { durable <- err })
	if err := <-durable; err != nil {
		return err
	}
	k.had, k.took = broker.Stats(), time.Since(began)
	return nil
}

// announce tells what was taken up, and what is not safe.
func (k *keeping) announce() {
	if says := k.caveat(); says != "" {
		k.log.Warn().Str("event", "not_durable").Str("durability", k.promise()).Msg(says)
	}
	if k.Store != nil {
		k.log.Info().Str("event", "restored").Int("sessions", k.had.Clients).Int("messages", k.had.Waiting+k.had.Inflight).
			Int("retained", k.had.Retained).Dur("took_ms", k.took).Msg("taken up what was kept")
	}
}

// storeLook is how often the log is told whether the disk has room.
const storeLook = time.Second

// watch tells when the disk is full and when it has room again, until ctx ends.
// A store that has failed for good is the end: failed gets the reason.
func (k *keeping) watch(ctx context.Context, failed chan<- error) {
	if k.Store == nil {
		return
	}
	t := time.NewTicker(storeLook)
	defer t.Stop()
	for {
		select {
		case <-k.Failed():
			k.log.Error().Err(k.Err()).Str("event", "store_failed").Msg("nothing is acknowledged any more; the server ends")
			failed <- k.Err()
			return
		case <-ctx.Done():
			return
		case <-t.C:
			k.tell(k.Full())
		}
	}
}

// failed reports whether the store has failed for good.
func (k *keeping) failed() bool { return k.Store != nil && k.Err() != nil }

// tell logs what has changed about the room on the disk.
func (k *keeping) tell(full error) {
	if k.full == (full != nil) {
		return
	}
	k.full = full != nil
	if k.full {
		k.log.Error().Err(full).Str("event", "store_full").
			Msg("QoS 1 and 2 are refused until there is room; free some, or see limits.disk_free_min and durability.max_bytes")
		return
	}
	k.log.Info().Str("event", "store_has_room").Msg("QoS 1 and 2 are taken again")
}

// check is whether what must be kept can be.
func (k *keeping) check() admin.Check {
	c := admin.Check{Name: "store", Note: k.caveat()}
	switch {
	case k.Store == nil:
	case k.failed():
		c.Problem = "The store has failed: nothing is acknowledged any more."
	case k.Full() != nil:
		c.Problem = "The disk is full: QoS 1 and 2 are refused. See limits.disk_free_min and durability.max_bytes."
	}
	return c
}

// each yields the figures of the store.
func (k *keeping) each(yield func(name, help, label string, value uint64)) {
	if k.Store == nil {
		return
	}
	s, full := k.Stats(), uint64(0)
	if s.Full != nil {
		full = 1
	}
	yield("dormouse_store_bytes", "Octets that what is kept takes on disk. Growing: see dormouse_messages_waiting, and durability.max_bytes.", "", s.Bytes)
	yield("dormouse_store_disk_free_bytes", "Octets free on the disk of data_dir. Near limits.disk_free_min: make room.", "", s.Free)
	yield("dormouse_store_full", "1 while QoS 1 and 2 are refused for want of room: free some, or see limits.disk_free_min and durability.max_bytes.", "", full)
	yield("dormouse_store_commits_total", "Groups of changes written together.", "", s.Commits)
	yield("dormouse_store_flushes_total", "Times that what was written lately went from the log to files of its own.", "", s.Flushes)
	yield("dormouse_store_compactions_total", "Times that such files were merged, which the disk has to do beside all else.", "", s.Compactions)
	const refused, whyRefused = "dormouse_store_refused_total",
		"Changes refused, each told to whom it was of. room: see dormouse_store_full. behind: the disk does not keep up, see dormouse_store_sync_seconds."
	yield(refused, whyRefused, `reason="room"`, s.Refused)
	yield(refused, whyRefused, `reason="behind"`, s.TooFast)
	yield("dormouse_store_waiting", "Requests to be answered once the disk has what came before them. Growing: the disk does not keep up, see dormouse_store_sync_seconds.", "", uint64(s.Waiting))
	yield("dormouse_store_waiting_bytes", "Octets of changes in memory that wait for the disk; it refuses some from 64 MiB on. Growing: as dormouse_store_waiting.", "", uint64(s.Unwritten))
}

// syncs are how long the disk took to sync.
func (k *keeping) syncs() (name, help string, count uint64, seconds float64, within map[float64]uint64) {
	within = make(map[float64]uint64)
	if k.Store != nil {
		s := k.Stats().Syncs
		count, seconds = s.Count, s.Sum.Seconds()
		for d, n := range s.Within {
			within[d.Seconds()] = n
		}
	}
	return "dormouse_store_sync_seconds",
		"How long the disk took to make a group of changes durable: no acknowledgement is faster. Above 0.1: another disk, or see durability.sync.", count, seconds, within
}

// sys yields what $SYS says of the store.
func (k *keeping) sys(yield func(name, value string)) {
	yield("store/durability", k.promise())
	if k.Store == nil {
		return
	}
	s, state := k.Stats(), "ok"
	if s.Full != nil {
		state = "full"
	}
	number := func(name string, n uint64) { yield("store/"+name, strconv.FormatUint(n, 10)) }
	yield("store/state", state)
	number("disk/bytes", s.Bytes)
	number("disk/free", s.Free)
	number("commits", s.Commits)
	number("syncs", s.Syncs.Count)
	number("refused", s.Refused+s.TooFast)
}
