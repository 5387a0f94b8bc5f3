package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// alone runs do while no other process does so with the file of that name,
// which do may replace.
func alone(name string, do func() error) error {
	for {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return fmt.Errorf("locking %s: %w", name, err)
		}
		if !isStill(f, name) {
			f.Close() // whoever had it before has replaced it
			continue
		}
		defer f.Close()
		return do()
	}
}

// isStill reports whether f is the file of that name.
func isStill(f *os.File, name string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(name)
	return err == nil && os.SameFile(opened, named)
}

// replaceFile gives the file of that name another text: whoever opens it finds
// the old one or the new one, also after a power cut. Its mode and its owner
// stay.
func replaceFile(name string, text []byte) (err error) {
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	old, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := keepOwner(f, old); err != nil {
		return err
	}
	if err := f.Chmod(old.Mode().Perm()); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// keepOwner gives f the owner and group of old, if it has others.
func keepOwner(f *os.File, old os.FileInfo) error {
	made, err := f.Stat()
	if err != nil {
		return err
	}
	is, was := made.Sys().(*syscall.Stat_t), old.Sys().(*syscall.Stat_t)
	if is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}

// syncDir has the names in a directory outlive a power cut.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
