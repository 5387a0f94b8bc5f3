package admin

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// inTemp returns a path short enough for a socket.
func inTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "made", "s")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestSocketIsItsOwnersAlone, and so is a directory that was made for it. At
// the end it is gone.
func TestSocketIsItsOwnersAlone(t *testing.T) {
	path := inTemp(t)
	l := listen(t, path)
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("the mode of %s is %v, want %v", name, info.Mode().Perm(), want)
		}
	}
	l.Close()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays behind: %v", err)
	}
}

// TestSocketNarrowsNothingElse: what the process creates while a socket opens
// has the mode that it always has.
func TestSocketNarrowsNothingElse(t *testing.T) {
	var opening sync.WaitGroup
	path, opened := inTemp(t), make(chan struct{})
	opening.Go(func() {
		defer close(opened)
		for range 200 {
			listen(t, path).Close()
		}
	})
	defer opening.Wait()
	dir, want := t.TempDir(), modeOfNewFile(t, t.TempDir(), 0)
	for i := 0; ; i++ {
		if got := modeOfNewFile(t, dir, i); got != want {
			t.Fatalf("a file gets mode %v, want %v", got, want)
		}
		select {
		case <-opened:
			return
		default:
		}
	}
}

func modeOfNewFile(t *testing.T, dir string, i int) fs.FileMode {
	t.Helper()
	name := filepath.Join(dir, strconv.Itoa(i))
	if err := os.WriteFile(name, nil, 0o777); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestSocketLeftBehind is replaced, but neither a living server's nor what is
// no socket.
func TestSocketLeftBehind(t *testing.T) {
	path := inTemp(t)
	left := listen(t, path).(*net.UnixListener)
	if _, err := Listen(path); !errors.Is(err, ErrSocketTaken) {
		t.Errorf("beside a living server: %v", err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	listen(t, path)

	file := path + ".file"
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("in place of a file: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if _, err := Listen("/tmp/" + strings.Repeat("x", 103)); err == nil || !strings.Contains(err.Error(), "108 octets; the system allows 107") {
		t.Errorf("with a path of 108 octets: %v", err)
	}
}

// TestServersStartAtOnce: where a socket was left behind, one of them has it, and
// the others say that it does.
func TestServersStartAtOnce(t *testing.T) {
	for range 20 {
		path := inTemp(t)
		left := listen(t, path).(*net.UnixListener)
		left.SetUnlinkOnClose(false)
		left.Close()
		var servers sync.WaitGroup
		var opened atomic.Int32
		for range 8 {
			servers.Go(func() {
				switch l, err := Listen(path); {
				case err == nil:
					opened.Add(1)
					t.Cleanup(func() { l.Close() })
				case !errors.Is(err, ErrSocketTaken):
					t.Error(err)
				}
			})
		}
		servers.Wait()
		if n := opened.Load(); n != 1 {
			t.Fatalf("%d servers have the socket, want 1", n)
		}
	}
}

// TestServersStopAndStart: whoever comes while another goes has the socket, or
// hears that it is taken.
func TestServersStopAndStart(t *testing.T) {
	path := inTemp(t)
	listen(t, path).Close()
	var servers sync.WaitGroup
	for range 4 {
		servers.Go(func() {
			for range 200 {
				l, err := Listen(path)
				if err == nil {
					l.Close()
				} else if !errors.Is(err, ErrSocketTaken) {
					t.Error(err)
				}
			}
		})
	}
	servers.Wait()
}

func TestDefaultPath(t *testing.T) {
	for _, tt := range []struct {
		user       int
		runtimeDir string
		want       string
	}{
		{0, "", "/run/dormouse/admin.sock"},
		{0, "/run/user/0", "/run/dormouse/admin.sock"},
		{1000, "/run/user/1000", "/run/user/1000/dormouse/admin.sock"},
		{1000, "", "/tmp/dormouse-1000/admin.sock"},
	} {
		if got := defaultPath(tt.user, tt.runtimeDir); got != tt.want {
			t.Errorf("for user %d with XDG_RUNTIME_DIR %q it is %s, want %s", tt.user, tt.runtimeDir, got, tt.want)
		}
	}
	if got := SocketPath("/a/b"); got != "/a/b" {
		t.Errorf("configured as /a/b it is %s", got)
	}
}

// TestPrivate: in a directory of everybody's, only what others can neither
// have made nor change is believed in.
func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	made := func(name string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := made("mine", 0o700)
	if err := private(mine); err != nil {
		t.Error(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{made("readable", 0o750), link, filepath.Join(dir, "nowhere")} {
		if private(path) == nil {
			t.Errorf("%s is believed in", path)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(mine, 1, 1); err != nil {
			t.Fatal(err)
		}
		if private(mine) == nil {
			t.Error("another user's directory is believed in")
		}
	}
}
