package crash

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A smallDisk is a file system of its own. It is in memory, and mounted for
// nobody but who is run in it: that takes no device, and the rights that root
// has, or else anyone in a user namespace.
type smallDisk struct {
	dir   string // where it is to those that are run in it
	path  string // where it is to all others
	enter []string
}

func newSmallDisk(t *testing.T, octets int) *smallDisk {
	t.Helper()
	var said []string
	for _, as := range []struct{ unshare, enter []string }{
		{[]string{"--mount"}, []string{"--mount"}},
		{[]string{"--mount", "--user", "--map-root-user"}, []string{"--mount", "--user", "--preserve-credentials"}},
	} {
		d := &smallDisk{dir: t.TempDir()}
		script := fmt.Sprintf("mount -t tmpfs -o size=%d,mode=0700 dormouse %s && echo mounted && exec cat", octets, d.dir)
		holder := exec.Command("unshare", append(as.unshare, "sh", "-c", script)...)
		stdin, err := holder.StdinPipe() // at whose end it goes, whatever becomes of this process
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stdin.Close()
			holder.Wait()
		})
		if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "mounted\n" {
			said = append(said, fmt.Sprintf("unshare %v: %q, %v", as.unshare, line, err))
			continue
		}
		pid := strconv.Itoa(holder.Process.Pid)
		d.path = filepath.Join("/proc", pid, "root", d.dir)
		d.enter = append(append([]string{"nsenter", "--target", pid}, as.enter...), "--")
		return d
	}
	t.Fatalf("this test mounts a file system, which neither root nor a user namespace may here: %v", said)
	return nil
}

// command is one that sees the disk.
func (d *smallDisk) command(name string, args ...string) *exec.Cmd {
	all := append(append(d.enter[1:len(d.enter):len(d.enter)], name), args...)
	return exec.Command(d.enter[0], all...)
}

// fill leaves so many octets of the disk free, and no more whatever is let go
// meanwhile, until empty is called.
func (d *smallDisk) fill(leave int64) (empty func()) {
	dir := filepath.Join(d.path, "ballast")
	os.Mkdir(dir, 0o700)
	stop := make(chan struct{})
	var filling sync.WaitGroup
	filling.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			if n := d.free() - leave; n > 0 {
				allocate(filepath.Join(dir, strconv.Itoa(i)), n)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		filling.Wait()
		os.RemoveAll(dir)
	})
}

// free is how many octets are free.
func (d *smallDisk) free() int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(d.path, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// allocate makes a file of n octets, if there is room.
func allocate(name string, n int64) {
	f, err := os.Create(name)
	if err != nil {
		return
	}
	defer f.Close()
	syscall.Fallocate(int(f.Fd()), 0, 0, n)
}
