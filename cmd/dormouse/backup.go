package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"dormouse/core/store/disk"
)

// A backupCmd is about copies of the store. A copy is a store itself.
type backupCmd struct {
	Create  backupCreateCmd  `cmd:"" help:"Copy what the server that runs here keeps; it goes on meanwhile."`
	Verify  backupVerifyCmd  `cmd:"" help:"Read all of a copy, and say what is in it or what is damaged."`
	Restore backupRestoreCmd `cmd:"" help:"Make a copy the data_dir of a server that does not run."`
}

type backupCreateCmd struct {
	operation
	Dir string `arg:"" help:"The directory to make. On the same disk it takes little room."`
}

// Run has the server make the copy.
func (c *backupCreateCmd) Run(*streams) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	return c.ask(http.MethodPost, "/v1/backup", url.Values{"dir": {dir}}, func(io.Reader) error { return nil })
}

type backupVerifyCmd struct {
	Dir string `arg:"" help:"The copy."`
}

// Run prints what is in the copy.
func (c *backupVerifyCmd) Run(s *streams) error {
	counts, err := disk.Verify(c.Dir, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, counts)
	return err
}

type backupRestoreCmd struct {
	settings
	Dir string `arg:"" help:"The copy. It stays as it is."`
}

// Run verifies the copy and copies it to data_dir, whole or not at all.
func (c *backupRestoreCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	counts, err := disk.Verify(c.Dir, nil)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return err
	}
	there, err := os.ReadDir(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(there) > 0 {
		return usage("%s is not empty: move it away, or set another data_dir", to)
	}
	part := to + ".restoring"
	if err := copyStore(part, c.Dir); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := os.Rename(part, to); err != nil { // over an empty directory, if there is one
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := syncPath(filepath.Dir(to)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, counts)
	return err
}

// copyStore makes the directory to a durable copy of a store. A store has no
// directories in it.
func copyStore(to, from string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(to, f.Name()), filepath.Join(from, f.Name())); err != nil {
			return err
		}
	}
	return syncPath(to)
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// syncPath makes durable what is in a directory.
func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// backup is what makes a copy of the store, or nil.
func (k *keeping) backup() func(dir string) error {
	if k.Store == nil {
		return nil
	}
	return k.Checkpoint
}
