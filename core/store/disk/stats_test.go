package disk_test

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// TestMaxBytes: a store takes no more than its bound, be it faster than the disk
// does; then it says so, and takes more again when enough was let go.
func TestMaxBytes(t *testing.T) {
	const most = 24 << 20
	s := open(t, filepath.Join(t.TempDir(), "store"), disk.Options{MaxBytes: most, Sync: disk.SyncNever})
	defer s.Close()
	if err := s.Write(&store.Session{ClientID: "sleeper", Expiry: time.Hour}); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 1<<16)
	for i := range payload {
		payload[i] = byte(i * i >> 3) // not to be compressed away
	}
	var seq uint64
	publish := func() error {
		seq++
		m := &store.Message{Topic: fmt.Sprint("t/", seq), Payload: payload, QoS: 1}
		return s.Write(&store.Published{Seq: seq, Message: m, Receivers: slices.Values([]store.Receiver{{ClientID: "sleeper", QoS: 1}})})
	}
	var err error
	for err == nil && seq < 10*most/uint64(len(payload)) {
		err = publish()
	}
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "has grown beyond") || seq*uint64(len(payload)) > most+1<<16 {
		t.Fatalf("after %d messages of 64 KiB: %v", seq, err)
	}
	settled(s)
	s.Look()
	if got := s.Stats(); got.Refused != 1 || got.Bytes == 0 || got.Commits == 0 { // a flush may have made room by now
		t.Errorf("%+v", got)
	}
	if err := s.Write(&store.Ended{ClientID: "sleeper"}); err != nil {
		t.Fatalf("what lets go is refused: %v", err)
	}
	if err := s.Write(&store.Session{ClientID: "sleeper", Expiry: time.Hour}); err != nil && !errors.Is(err, store.ErrFull) {
		t.Fatal(err)
	}
	for late := time.Now().Add(20 * time.Second); publish() != nil || s.Full() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("still full with %d octets of %d", s.Stats().Bytes, most)
		}
	}
}

// TestSyncsAreTimed: each sync counts once, and none is counted where none is.
func TestSyncsAreTimed(t *testing.T) {
	for sync, want := range map[time.Duration]uint64{disk.SyncAlways: 3, disk.SyncNever: 0} {
		s := open(t, filepath.Join(t.TempDir(), "store"), disk.Options{Sync: sync})
		for i := range 3 {
			s.Write(&store.Session{ClientID: fmt.Sprint(i), Expiry: time.Hour})
			settled(s)
		}
		got := s.Stats().Syncs
		if got.Count != want || (got.Sum > 0) != (want > 0) {
			t.Errorf("with sync %v: %+v, want %d", sync, got, want)
		}
		s.Close()
	}
}

// settled waits for the answer to a Sync.
func settled(s *disk.Store) {
	done := make(chan error, 1)
	s.Sync(func(err error) { done <- err })
	<-done
}

// TestFaultsAreSeenInAnyDirectory: however it is written; and a backup that
// fails is no fault of the store.
func TestFaultsAreSeenInAnyDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	var broken, backingUp atomic.Bool
	s := open(t, "./data", disk.Options{FS: errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		inBackup := backingUp.Load() && strings.HasPrefix(op.Path, "data/backup.new")
		if inBackup && op.Kind.ReadOrWrite() == errorfs.OpIsWrite || broken.Load() && op.Kind == errorfs.OpFileSyncData {
			return errors.New("no such luck")
		}
		return nil
	}))})
	if err := s.Write(&store.Session{ClientID: "a", Expiry: time.Hour}); err != nil {
		t.Fatal(err)
	}
	settled(s)
	backingUp.Store(true)
	if err := s.Backup(io.Discard); err == nil || s.Err() != nil {
		t.Fatalf("a backup that fails: %v, the store: %v", err, s.Err())
	}
	broken.Store(true)
	s.Write(&store.Session{ClientID: "b", Expiry: time.Hour})
	answer := make(chan error, 1)
	s.Sync(func(err error) { answer <- err })
	if <-answer == nil || s.Err() == nil {
		t.Error("a sync failed and nobody was told")
	}
}
