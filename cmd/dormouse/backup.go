package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"dormouse/core/store/disk"
)

// A backupCmd is about backups of the store. One is a file: a tar, compressed
// by gzip, with checksums.
type backupCmd struct {
	Create  backupCreateCmd  `cmd:"" help:"Write what the server that runs here keeps to a file; it goes on meanwhile."`
	Verify  backupVerifyCmd  `cmd:"" help:"Read all of a backup, and say what is in it or what is damaged."`
	Restore backupRestoreCmd `cmd:"" help:"Make a backup the data_dir of a server that does not run."`
}

type backupCreateCmd struct {
	operation
	File string `arg:"" help:"The file to make, which must not be there. \"-\" is standard output."`
}

// Run has all of a backup in the file, or no file.
func (c *backupCreateCmd) Run(s *streams) (err error) {
	if c.File == "-" {
		return c.copyTo(s.out)
	}
	switch _, err := os.Lstat(c.File); {
	case err == nil:
		return fmt.Errorf("%s is there already: name another file, or remove it", c.File)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir, name := filepath.Split(c.File)
	part, err := os.CreateTemp(filepath.Clean(dir), "."+name+".*") // for nobody else to read
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	err = c.copyTo(part)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), c.File); err != nil {
		return err
	}
	return syncDir(filepath.Dir(c.File))
}

// copyTo asks the server for a backup.
func (c *backupCreateCmd) copyTo(w io.Writer) error {
	to := &recorder{Writer: w}
	err := c.ask(http.MethodGet, "/v1/backup", nil, func(body io.Reader) error {
		_, err := io.Copy(to, body)
		return err
	})
	return cmp.Or(to.err, err)
}

// A recorder remembers why it could not be written to.
type recorder struct {
	io.Writer
	err error
}

func (r *recorder) Write(b []byte) (n int, err error) {
	n, err = r.Writer.Write(b)
	r.err = err
	return n, err
}

type backupVerifyCmd struct {
	File string `arg:"" help:"The backup. It is unpacked beside itself, and that is removed again. \"-\" is standard input, for which TMPDIR says where."`
}

// Run prints what is in the backup.
func (c *backupVerifyCmd) Run(s *streams) error {
	return readBackup(s, c.File, func(r io.Reader) (counts disk.Counts, err error) {
		beside := ""
		if c.File != "-" {
			beside = filepath.Dir(c.File)
		}
		dir, err := os.MkdirTemp(beside, ".dormouse-verify-*")
		if err != nil {
			return counts, err
		}
		counts, err = disk.VerifyBackup(r, nil, dir)
		return counts, errors.Join(err, os.RemoveAll(dir))
	})
}

type backupRestoreCmd struct {
	settings
	File string `arg:"" help:"The backup. It stays as it is. \"-\" is standard input."`
}

// Run verifies the backup and makes it the store in data_dir, all of it or
// nothing.
func (c *backupRestoreCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return readBackup(s, c.File, func(r io.Reader) (disk.Counts, error) {
		return disk.Restore(r, nil, cfg.DataDir)
	})
}

// readBackup does something with a backup, and prints what is in it.
func readBackup(s *streams, name string, do func(io.Reader) (disk.Counts, error)) error {
	ctx, cancel := interruptible()
	defer cancel()
	in := s.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	counts, err := do(&interrupted{ctx, in})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return storeFailure(fmt.Errorf("%s: %w", name, err))
	}
	_, err = fmt.Fprintln(s.out, counts)
	return err
}

// An interrupted reader ends with its context.
type interrupted struct {
	ctx context.Context
	io.Reader
}

func (r *interrupted) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(b)
}

// backup is what makes a backup of the store, or nil.
func (k *keeping) backup() func(io.Writer) error {
	if k.Store == nil {
		return nil
	}
	return k.Backup
}
