package disk

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A backup is the files of a store in a tar, compressed by gzip. The last of
// them, sumsFile, has a line for each of the others, as sha256sum(1) writes it:
// what lacks it was cut off.
const (
	sumsFile = "SHA256SUMS"
	maxSums  = 64 << 20 // octets of it, of more files than any store has
	fileMode = 0o600
)

// What is wrong with a backup.
var (
	errNoBackup = errors.New("it is no backup")
	errCutOff   = errors.New("it is cut off")
	errSums     = errors.New("its files are not those that " + sumsFile + " lists")
)

// pack writes the files of dir as a backup.
func pack(w io.Writer, in vfs.FS, dir string) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	names, err := in.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	t, sums := tar.NewWriter(z), ""
	for _, name := range names {
		sum, err := packFile(t, in, dir, name)
		if err != nil {
			return err
		}
		sums += sumLine(name, sum)
	}
	if err := t.WriteHeader(&tar.Header{Name: sumsFile, Mode: fileMode, Size: int64(len(sums))}); err != nil {
		return err
	}
	if _, err := io.WriteString(t, sums); err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

func sumLine(name string, sum []byte) string { return fmt.Sprintf("%x  %s\n", sum, name) }

func packFile(t *tar.Writer, in vfs.FS, dir, name string) (sum []byte, err error) {
	f, err := in.Open(in.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	is, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: fileMode, Size: is.Size()}); err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(t, h), f)
	return h.Sum(nil), err
}

// unpack makes the files of a backup in dir, durably, and sees that all of them
// are there and as they were. Nothing is ever made outside of dir.
func unpack(r io.Reader, in vfs.FS, dir string) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return asCutOff(fmt.Errorf("%w: %w", errNoBackup, err))
	}
	t, sums := tar.NewReader(z), ""
	var listed []byte // nil: not yet
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && listed == nil:
			return errCutOff
		case errors.Is(err, io.EOF):
			// What gzip has to say of all of it comes at its end.
			if _, err := io.Copy(io.Discard, z); err != nil {
				return asCutOff(fmt.Errorf("it is damaged: %w", err))
			}
			if string(listed) != sums {
				return errSums
			}
			return syncDir(in, dir)
		case err != nil:
			return asCutOff(fmt.Errorf("it is damaged: %w", err))
		case h.Typeflag != tar.TypeReg || !isFileName(h.Name):
			return fmt.Errorf("%w: it has %q in it, which is not a file of a store", errNoBackup, h.Name)
		case listed != nil:
			return errSums
		case h.Name == sumsFile:
			if listed, err = io.ReadAll(io.LimitReader(t, maxSums)); err != nil {
				return asCutOff(fmt.Errorf("it is damaged: %s: %w", sumsFile, err))
			}
			continue
		}
		sum, err := unpackFile(t, in, in.PathJoin(dir, h.Name))
		if err != nil {
			return err
		}
		sums += sumLine(h.Name, sum)
	}
}

// asCutOff says of what ends early that it does, in words.
func asCutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errCutOff
	}
	return err
}

// isFileName reports whether name is that of a file in the directory where one
// looks for it.
func isFileName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\\x00")
}

func unpackFile(t io.Reader, in vfs.FS, name string) (sum []byte, err error) {
	if _, err := in.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return nil, errSums // the same twice
	}
	f, err := in.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	buffer := make([]byte, 256<<10)
	for err == nil {
		n := 0
		if n, err = t.Read(buffer); n > 0 {
			h.Write(buffer[:n])
			if _, e := f.Write(buffer[:n]); e != nil {
				return nil, errors.Join(e, f.Close())
			}
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		err = f.Sync()
	default:
		err = asCutOff(fmt.Errorf("it is damaged: %w", err))
	}
	return h.Sum(nil), errors.Join(err, f.Close())
}
