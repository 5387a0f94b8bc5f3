package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxPath is the longest path of a unix socket, in octets: sun_path has 108,
// the last of them zero.
const maxPath = 107

// SocketPath returns where the socket is, given how it is configured: the
// server and its commands agree on this.
func SocketPath(configured string) string {
	if configured != "" {
		return configured
	}
	return defaultPath(os.Geteuid(), os.Getenv("XDG_RUNTIME_DIR"))
}

func defaultPath(user int, runtimeDir string) string {
	dir := sharedDir(user)
	switch {
	case user == 0:
		dir = "/run/dormouse"
	case runtimeDir != "":
		dir = filepath.Join(runtimeDir, "dormouse")
	}
	return filepath.Join(dir, "admin.sock")
}

// sharedDir is a user's directory in one where everybody may make some.
func sharedDir(user int) string { return fmt.Sprintf("/tmp/dormouse-%d", user) }

// ErrSocketTaken: a server that lives answers on the socket.
var ErrSocketTaken = errors.New("another server answers on it")

// Listen opens the socket, for this user alone, in place of one that a server
// left behind. It makes the directory if there is none.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("its path has %d octets; the system allows %d", len(path), maxPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := trust(path); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearAway(path); err != nil {
		return nil, err
	}
	private := net.ListenConfig{Control: ownersAlone}
	return private.Listen(context.Background(), "unix", path)
}

// ownersAlone has the socket's file be its owner's alone from the start: Linux
// makes it with the mode of the socket. The process's umask would narrow what
// others create meanwhile, too.
func ownersAlone(_, _ string, c syscall.RawConn) (err error) {
	if refused := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }); refused != nil {
		return refused
	}
	return err
}

// lock keeps other servers that start out of a directory: of two that find a
// socket on which nobody answers, the second must not remove the first one's.
func lock(dir string) (unlock func(), err error) {
	const patience, step = 5 * time.Second, 10 * time.Millisecond
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for late := time.Now().Add(patience); ; time.Sleep(step) {
		switch err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return func() { d.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(late):
			d.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
	}
}

// clearAway removes a socket on which nobody answers.
func clearAway(path string) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file of that name, which is not a socket")
	}
	const patience = time.Second
	conn, err := net.DialTimeout("unix", path, patience)
	switch {
	case err == nil:
		conn.Close()
		return ErrSocketTaken
	case errors.Is(err, syscall.ECONNREFUSED):
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its server has ended meanwhile
	}
	return err
}

// trust refuses a directory where anybody could have made it before us, unless
// it is this user's alone.
func trust(path string) error {
	if dir := filepath.Dir(path); dir == sharedDir(os.Geteuid()) {
		return private(dir)
	}
	return nil
}

func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of this user alone; remove it", dir)
	}
	return nil
}
