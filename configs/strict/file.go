package strict

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFile returns the octets of a file, no more than it takes for [Parse] to
// find it too long. Its error says what is wrong, not with which file, and
// wraps fs.ErrNotExist or syscall.EISDIR where the caller may know what to do.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("it may not be read by this user; change its owner or mode")
	case err != nil:
		return nil, fmt.Errorf("cannot be opened: %w", errors.Unwrap(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	return text, nil
}
