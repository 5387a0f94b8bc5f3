//go:build !linux

package mqtt

import (
	"errors"
	"syscall"
)

// A lookout takes epoll: elsewhere each client is read by a goroutine of its own.
type lookout struct{}

func newLookout(*carrier) (*lookout, error) { return nil, errors.ErrUnsupported }

func (*lookout) run()            {}
func (*lookout) close()          {}
func (*lookout) add(*conn) error { return errors.ErrUnsupported }
func (*lookout) drop(*conn)      {}

func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
