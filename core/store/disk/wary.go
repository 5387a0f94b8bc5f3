package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A waryFS is a file system on which nothing fails that changes the directory
// of the store: what finds no room waits for it, and any other failure ends the
// life of the store and does not return. pebble would try some of them again,
// even an fsync, and would take the process with it at others. So what uses one
// runs under guard.
type waryFS struct {
	vfs.FS
	life *life
	free *space
}

// does does what may fail, to a file.
func (w waryFS) does(name, what string, do func() error) error {
	err := do()
	if errors.Is(err, syscall.ENOSPC) && w.isOurs(name) {
		w.free.stuck.Add(1) // until there is room, also while it is tried
		defer w.free.stuck.Add(-1)
		for errors.Is(err, syscall.ENOSPC) && w.free.wait() {
			err = do()
		}
	}
	if err == nil || !w.isOurs(name) {
		return err
	}
	w.life.fail(fmt.Errorf("cannot %s %s: %w", what, name, err))
	select {} // until the process ends
}

// isOurs reports whether a file is the store's directory or in it, rather than
// of a backup.
func (w waryFS) isOurs(name string) bool {
	return name == w.free.dir || w.PathDir(name) == w.free.dir && w.PathBase(name) != copyDir
}

// opens does what opens a file to be written.
func (w waryFS) opens(name, what string, do func() (vfs.File, error)) (f vfs.File, err error) {
	err = w.does(name, what, func() error {
		f, err = do()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &waryFile{f, w, name}, nil
}

// Create implements [vfs.FS]. A marker of pebble says by its name which file
// counts, and the next one is made after that file and before the old one is
// removed. So they reach the disk too, even one that takes the changes of a
// directory in any order.
func (w waryFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	create := func() (vfs.File, error) {
		return w.opens(name, "create", func() (vfs.File, error) { return w.FS.Create(name, c) })
	}
	if !strings.HasPrefix(w.PathBase(name), "marker.") {
		return create()
	}
	dir := w.PathDir(name)
	if err := syncDir(w, dir); err != nil {
		return nil, err
	}
	f, err := create()
	if err != nil {
		return nil, err
	}
	if err := syncDir(w, dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (w waryFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return w.opens(name, "open", func() (vfs.File, error) { return w.FS.OpenReadWrite(name, c, o...) })
}

func (w waryFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return w.opens(to, "create", func() (vfs.File, error) { return w.FS.ReuseForWrite(from, to, c) })
}

// OpenDir implements [vfs.FS]. pebble syncs what the directory of the store is
// in, though that was there before, and though it may be of those directories
// through which one may pass and which one may not read. It gets another one.
func (w waryFS) OpenDir(name string) (vfs.File, error) {
	f, err := w.opens(name, "open", func() (vfs.File, error) { return w.FS.OpenDir(name) })
	if errors.Is(err, fs.ErrPermission) && name == w.PathDir(w.free.dir) {
		return w.OpenDir(w.free.dir)
	}
	return f, err
}

func (w waryFS) Link(from, to string) error {
	return w.does(to, "link", func() error { return w.FS.Link(from, to) })
}

func (w waryFS) Rename(from, to string) error {
	return w.does(to, "rename", func() error { return w.FS.Rename(from, to) })
}

func (w waryFS) MkdirAll(dir string, perm os.FileMode) error {
	return w.does(dir, "make", func() error { return w.FS.MkdirAll(dir, perm) })
}

// Unwrap is of no file system, lest anyone go around this one.
func (w waryFS) Unwrap() vfs.FS { return nil }

// A waryFile is a file of a waryFS.
type waryFile struct {
	vfs.File
	fs   waryFS
	name string
}

func (f *waryFile) Write(b []byte) (n int, err error) {
	err = f.fs.does(f.name, "write", func() error {
		more, err := f.File.Write(b[n:])
		n += more
		return err
	})
	return n, err
}

func (f *waryFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.fs.does(f.name, "write", func() error {
		n, err = f.File.WriteAt(b, at)
		return err
	})
	return n, err
}

func (f *waryFile) Preallocate(from, n int64) error {
	return f.fs.does(f.name, "write", func() error { return f.File.Preallocate(from, n) })
}

func (f *waryFile) Sync() error     { return f.synced(f.File.Sync) }
func (f *waryFile) SyncData() error { return f.synced(f.File.SyncData) }

func (f *waryFile) SyncTo(n int64) (full bool, err error) {
	err = f.synced(func() error {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

// synced does a sync, once: what a second one says means nothing.
func (f *waryFile) synced(sync func() error) error {
	return f.fs.does(f.name, "sync", func() error {
		err := sync()
		if errors.Is(err, syscall.ENOSPC) {
			err = errors.New(err.Error()) // is not to be waited for
		}
		return err
	})
}
