package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// one is a message for ann.
func one(seq uint64) *store.Published {
	return &store.Published{Seq: seq, Message: &store.Message{Topic: "a", Payload: []byte("x"), QoS: 1},
		Receivers: slices.Values([]store.Receiver{{ClientID: "ann", QoS: 1}})}
}

// keeps has s write, and wait until it is durable.
func keeps(s store.Store, facts ...store.Fact) error {
	if err := s.Write(facts...); err != nil {
		return err
	}
	answer := make(chan error, 1)
	s.Sync(func(err error) { answer <- err })
	return <-answer
}

// TestBackupOfALiveStore: it is made while four write; what was durable before
// is in it, and becomes a store of ours alone.
func TestBackupOfALiveStore(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "other")
	s := open(t, dir, disk.Options{})
	if err := keeps(s, &store.Session{ClientID: "ann", Expiry: time.Hour}, &store.Accepted{ClientID: "ann", ID: 1},
		&store.Subscribed{ClientID: "ann", Subscription: store.Subscription{Filter: "a"}}); err != nil {
		t.Fatal(err)
	}
	const before = 100
	for seq := range uint64(before) {
		if err := keeps(s, one(seq+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := keeps(s, &store.Taken{Receiver: store.Receiver{ClientID: "ann"}, Seq: 1, ID: 1}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	for w := range uint64(4) {
		all.Go(func() {
			for seq := before + 1 + w; ; seq += 4 {
				select {
				case <-stop:
					return
				default:
				}
				if err := keeps(s, one(seq)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var backup bytes.Buffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Verify(dir, nil); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("Verify of an open store: %v", err)
	}
	close(stop)
	all.Wait()
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(new(bytes.Buffer)); err == nil {
		t.Error("a store that is closed makes a backup")
	}

	c, err := disk.VerifyBackup(bytes.NewReader(backup.Bytes()), nil, private(t))
	if err != nil || c.Sessions != 1 || c.Subscriptions != 1 || c.Accepted != 1 || c.InFlight != 1 || c.Messages < before || c.Waiting != c.Messages-1 {
		t.Errorf("the backup has %v, %v", c, err)
	}
	restored, err := disk.Restore(&backup, nil, other)
	if err != nil || restored != c {
		t.Errorf("restored are %v, %v", restored, err)
	}
	if is, err := os.Stat(other); err != nil || is.Mode().Perm() != 0o700 {
		t.Errorf("it is %v, %v", is.Mode(), err)
	}
	s = open(t, other, disk.Options{})
	if err := s.Load(func(store.Fact) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// private is an empty directory that nobody else may read.
func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDirectories that cannot be opened: what it says, and nothing was done.
func TestDirectories(t *testing.T) {
	made := func(t *testing.T) string {
		dir := filepath.Join(t.TempDir(), "store")
		if err := open(t, dir, disk.Options{}).Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	put := func(t *testing.T, name, what string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(what), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(t *testing.T, pattern string) {
		t.Helper()
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s", pattern)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name string
		dir  func(t *testing.T) string
		want string
	}{
		{"a file", func(t *testing.T) string {
			name := filepath.Join(t.TempDir(), "file")
			put(t, name, "x")
			return name
		}, "not a directory"},
		{"others may read", func(t *testing.T) string {
			dir := made(t)
			if err := os.Chmod(dir, 0o750); err != nil {
				t.Fatal(err)
			}
			return dir
		}, "others may read it (mode 0750): chmod 700 "},
		{"open", func(t *testing.T) string {
			dir := made(t)
			s := open(t, dir, disk.Options{})
			t.Cleanup(func() { s.Close() })
			return dir
		}, "in use by another process"},
		{"not empty", func(t *testing.T) string {
			dir := made(t)
			gone(t, filepath.Join(dir, "FORMAT"))
			return dir
		}, "no file FORMAT"},
		{"newer", func(t *testing.T) string {
			dir := made(t)
			put(t, filepath.Join(dir, "FORMAT"), "dormouse store 2\n")
			return dir
		}, "FORMAT: it is of version 2, this Dormouse knows 1: use a newer one"},
		{"no manifest", func(t *testing.T) string {
			dir := made(t)
			gone(t, filepath.Join(dir, "MANIFEST-*"))
			return dir
		}, "MANIFEST"},
		{"nothing of pebble", func(t *testing.T) string {
			dir := made(t)
			gone(t, filepath.Join(dir, "marker.*"))
			return dir
		}, "it is damaged: FORMAT is there, but what pebble keeps with it"},
		{"no pebble", func(t *testing.T) string {
			dir := made(t)
			gone(t, filepath.Join(dir, "marker.manifest*"))
			return dir
		}, "marker.manifest, is missing"},
		{"no mark", func(t *testing.T) string {
			dir := made(t)
			gone(t, filepath.Join(dir, "MARK"))
			return dir
		}, "MARK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := tt.dir(t)
			before := listing(t, dir)
			s, err := disk.Open(dir, disk.Options{})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open: %v; want %q", err, tt.want)
			}
			// Who has it open tidies it in his own time.
			if after := listing(t, dir); after != before && tt.name != "open" {
				t.Errorf("was:\n%s\nis:\n%s", before, after)
			}
			if tt.name == "open" {
				return
			}
			if _, err := disk.Verify(dir, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify: %v; want %q", err, tt.want)
			}
		})
	}
}

// listing is the files of dir and their sizes.
func listing(t *testing.T, dir string) (all string) {
	t.Helper()
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if i, err := f.Info(); err == nil && f.Name() != "LOCK" {
			all += fmt.Sprintln(f.Name(), i.Size())
		}
	}
	return all
}

// TestKilledBetweenLogs: pebble, as it opens, removes its log before it makes the
// next. Killed there, it has all in tables.
func TestKilledBetweenLogs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir, disk.Options{})
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, name := range logs {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, disk.Options{})
	defer s.Close()
	facts := 0
	if err := s.Load(func(store.Fact) error { facts++; return nil }); err != nil || len(logs) == 0 || facts != 1 {
		t.Errorf("without its %d logs it has %d facts, %v", len(logs), facts, err)
	}
}

// TestBackupHasNoNotes: what transports have noted is of this process and those
// after it: who goes on from a backup would go back in it.
func TestBackupHasNoNotes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"), disk.Options{})
	if err := keeps(s, &store.Session{ClientID: "ann", Expiry: time.Hour}, &store.Noted{Name: "sns a", Value: []byte("keys")}); err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := disk.Restore(&backup, nil, dir); err != nil {
		t.Fatal(err)
	}
	sessions := 0
	if _, err := disk.Inspect(dir, nil, func(f store.Fact) error {
		switch f.(type) {
		case *store.Session:
			sessions++
		case *store.Noted:
			t.Errorf("restored: %+v", f)
		}
		return nil
	}); err != nil || sessions != 1 {
		t.Errorf("%d sessions, %v", sessions, err)
	}
}
