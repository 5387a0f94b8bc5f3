package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatFile says that a directory is a store, and of which version. It is
// there before pebble's files and says so until they are: from then on none of
// them may be missing.
const (
	formatFile      = "FORMAT"
	formatVersion   = 1
	formatWords     = "dormouse store %d\n"
	formatBeginning = "dormouse store 1, not yet begun\n"
	formatNow       = "dormouse store 1\n"

	newSuffix = ".new" // of a file that is to replace another

	lockFile = "LOCK" // pebble's
)

// mayBeThere is what may be in a directory that is as good as empty.
var mayBeThere = []string{lockFile, formatFile + newSuffix, restoreDir, "lost+found"}

// readFormat reports whether the store has begun; not if the directory is
// empty.
func (s *Store) readFormat() (begun bool, err error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return false, err
	}
	b, err := readFile(s.fs, s.fs.PathJoin(s.dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range names {
			if !slices.Contains(mayBeThere, name) {
				return false, fmt.Errorf("%w: it has %s in it but no file %s: set data_dir to a directory that is empty or a store", ErrNoStore, name, formatFile)
			}
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	version := 0
	switch {
	case bytes.Equal(b, []byte(formatBeginning)):
		return false, nil
	case bytes.Equal(b, []byte(formatNow)):
	default:
		if _, err := fmt.Sscanf(string(b), formatWords, &version); err == nil && version > formatVersion {
			return false, fmt.Errorf("%s: it is of version %d, this Dormouse knows %d: use a newer one", formatFile, version, formatVersion)
		}
		return false, fmt.Errorf("it is damaged: %s says %q, not %q", formatFile, b, formatNow)
	}
	// There may be no log: pebble, as it opens, removes the old one before it
	// makes the next. What is missed by it the mark tells.
	return true, nil
}

func writeFormat(in vfs.FS, dir, words string) error {
	return writeFile(in, dir, formatFile, []byte(words))
}
