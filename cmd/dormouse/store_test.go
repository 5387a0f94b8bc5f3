package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/store/disk"
)

// TestStoreFailure: scripts tell by the exit status whether to wait or to ask
// for rights, to mend the configuration, or to look for a backup.
func TestStoreFailure(t *testing.T) {
	for _, tt := range []struct {
		why  error
		want int
	}{
		{disk.ErrInUse, 3},
		{disk.ErrExposed, 3},
		{&fs.PathError{Op: "open", Path: "LOCK", Err: syscall.EACCES}, 3},
		{&os.LinkError{Op: "rename", Err: syscall.EROFS}, 3},
		{disk.ErrNoStore, 2},
		{disk.ErrNotEmpty, 2},
		{&disk.DamageError{Record: "message 7", Err: errors.New("checksum does not match")}, 1},
		{syscall.EIO, 1},
		{syscall.ENOSPC, 1},
	} {
		err := storeFailure(fmt.Errorf("store in d: %w", tt.why))
		f := &failure{statusFailed, err}
		errors.As(err, &f)
		if f.status != tt.want || !errors.Is(err, tt.why) {
			t.Errorf("%v ends with status %d, want %d", err, f.status, tt.want)
		}
	}
}

// TestPromise: who asked for less than durability.sync=always is told so in the
// log, by /readyz and in $SYS; nobody else is.
func TestPromise(t *testing.T) {
	for sync, says := range map[string]string{
		"always":         "",
		"interval:100ms": "What was acknowledged in the last 100ms may be lost",
		"none":           "What was acknowledged may be lost",
	} {
		c, err := config.Load("", []string{"durability.sync=" + sync, "data_dir=" + filepath.Join(t.TempDir(), "data")})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		k, err := openStore(c, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		k.announce()
		for where, got := range map[string]string{"log": log.String(), "/readyz": k.check().Note} {
			if !strings.Contains(got, says) || strings.Contains(got, "may be lost") != (says != "") {
				t.Errorf("%s: %s says %q, want %q", sync, where, got, says)
			}
		}
		k.sys(func(name, value string) {
			if name == "store/durability" && value != sync {
				t.Errorf("%s: $SYS says %s", sync, value)
			}
		})
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
}
