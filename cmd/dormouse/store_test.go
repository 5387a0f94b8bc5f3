package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

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
