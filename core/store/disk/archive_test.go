package disk_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// backup is one of a store of which ann is the only client.
func backup(t *testing.T) []byte {
	t.Helper()
	s := open(t, "data", disk.Options{FS: vfs.NewMem()})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpacked are the files of a directory.
func unpacked(t *testing.T, in vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := in.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, name := range names {
		all[name] = contents(t, in, in.PathJoin(dir, name))
	}
	return all
}

// inMem is a file system with an empty directory.
func inMem(t *testing.T) vfs.FS {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll("to", 0o700); err != nil {
		t.Fatal(err)
	}
	return mem
}

// TestDamagedBackups: whichever bit of one is flipped and wherever it is cut
// off, that is found, or what is unpacked is what was packed.
func TestDamagedBackups(t *testing.T) {
	mem := inMem(t)
	for name, size := range map[string]int{"a": 300, "b": 0, "c": 5} {
		f, err := mem.Create("to/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		rand.NewChaCha8([32]byte{}).Read(b)
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	var packed bytes.Buffer
	if err := disk.Pack(&packed, mem, "to"); err != nil {
		t.Fatal(err)
	}
	whole, want := packed.Bytes(), unpacked(t, mem, "to")
	for n := range whole {
		if err := disk.Unpack(bytes.NewReader(whole[:n]), inMem(t), "to"); err == nil || !strings.Contains(err.Error(), "it is cut off") {
			t.Errorf("%d of %d octets: %v", n, len(whole), err)
		}
	}
	found := 0
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		to := inMem(t)
		if err := disk.Unpack(bytes.NewReader(b), to, "to"); err != nil {
			found++
		} else if got := unpacked(t, to, "to"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("bit %d of octet %d is not missed", i%8, i/8)
		}
	}
	if most := len(whole) * 8; found < most*9/10 { // the others are of no consequence, such as a time
		t.Errorf("of %d flipped bits %d are found", most, found)
	}
	if err := disk.Unpack(io.MultiReader(bytes.NewReader(whole), strings.NewReader("x")), inMem(t), "to"); err == nil {
		t.Error("what goes on after its end is a backup")
	}
}

// TestHostile65ForgedBackups: nothing is made outside of the directory, and nothing is
// taken for a file of a store that is not listed.
func TestHostile65ForgedBackups(t *testing.T) {
	file := func(name string) *tar.Header { return &tar.Header{Name: name, Mode: 0o600, Size: 1} }
	link := func(name, to string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	sums := func(names ...string) *tar.Header {
		text := ""
		for _, name := range names {
			text += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte("x")), name)
		}
		return &tar.Header{Name: "SHA256SUMS", Size: int64(len(text)), Uname: text}
	}
	for _, tt := range []struct {
		name    string
		headers []*tar.Header
		want    string // empty: it is one
	}{
		{"good", []*tar.Header{file("a"), file("b"), sums("a", "b")}, ""},
		{"up", []*tar.Header{file("../a"), sums("../a")}, `"../a"`},
		{"from the root", []*tar.Header{file("/tmp/a"), sums("/tmp/a")}, `"/tmp/a"`},
		{"below", []*tar.Header{file("b/a"), sums("b/a")}, `"b/a"`},
		{"nowhere", []*tar.Header{file(".."), sums("..")}, `".."`},
		{"link", []*tar.Header{link("a", "/etc/passwd"), file("a"), sums("a")}, `"a"`},
		{"directory", []*tar.Header{{Typeflag: tar.TypeDir, Name: "a"}, sums()}, `"a"`},
		{"twice", []*tar.Header{file("a"), file("a"), sums("a", "a")}, "SHA256SUMS lists"},
		{"not listed", []*tar.Header{file("a"), file("b"), sums("a")}, "SHA256SUMS lists"},
		{"missing", []*tar.Header{file("a"), sums("a", "b")}, "SHA256SUMS lists"},
		{"after the list", []*tar.Header{sums(), file("a")}, "SHA256SUMS lists"},
		{"no list", []*tar.Header{file("a")}, "cut off"},
		{"nothing", nil, "cut off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			w := tar.NewWriter(z)
			for _, h := range tt.headers {
				text := h.Uname
				h.Uname = ""
				if text == "" && h.Size > 0 {
					text = "x"
				}
				if err := w.WriteHeader(h); err != nil {
					t.Fatal(err)
				}
				io.WriteString(w, text)
			}
			if err := errors.Join(w.Close(), z.Close()); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			dir := filepath.Join(parent, "to")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			err := disk.Unpack(&b, vfs.Default, dir)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if there, _ := os.ReadDir(parent); len(there) != 1 {
				t.Errorf("made outside: %v", there)
			}
		})
	}
}

// TestNoBackup: anything else is refused as such.
func TestNoBackup(t *testing.T) {
	for _, text := range []string{"not even compressed, but long enough", "\x1f\x8b\x08\x00 nearly"} {
		if err := disk.Unpack(strings.NewReader(text), inMem(t), "to"); err == nil {
			t.Errorf("%q is a backup", text)
		}
	}
}

// TestBackupBreaksOff because nobody takes it, there is another, or the disk is
// full: the store goes on, nothing is left, and the next is made.
func TestBackupBreaksOff(t *testing.T) {
	var none atomic.Bool
	mem := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if none.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))})
	defer s.Close()
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(brokenPipe{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("nobody takes it: %v", err)
	}
	r, w := io.Pipe()
	first := make(chan error, 1)
	go func() {
		first <- s.Backup(w)
		w.Close()
	}()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(io.Discard); err == nil || !strings.Contains(err.Error(), "another backup is under way") {
		t.Errorf("a second at once: %v", err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Error(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}

	none.Store(true)
	s.Write(&store.Session{ClientID: "bob"})
	s.Sync(func(error) {})
	for !errors.Is(s.Write(&store.Session{ClientID: "eve"}), store.ErrFull) {
		runtime.Gosched() // until it has found out
	}
	if err := s.Backup(io.Discard); !errors.Is(err, store.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	none.Store(false)
	if err := keeps(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(io.Discard); err != nil || s.Err() != nil {
		t.Errorf("at last: %v, the store: %v", err, s.Err())
	}
	if _, err := mem.Stat("data/backup.new"); err == nil {
		t.Error("the copy is left behind")
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestRestoreOrNothing: what stops it leaves the directory as it was, which is
// not there or empty, or else it is refused.
func TestRestoreOrNothing(t *testing.T) {
	whole := backup(t)
	for n := range 3 {
		cut := bytes.NewReader(whole[:n*len(whole)/3])
		for name, r := range map[string]io.Reader{"cut off": cut, "unreadable": io.MultiReader(cut, iotest.ErrReader(syscall.EIO))} {
			dir := filepath.Join(t.TempDir(), "data")
			if _, err := disk.Restore(r, nil, dir); err == nil {
				t.Errorf("%s after %d of 3 parts it is restored", name, n)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s after %d of 3 parts: the directory: %v", name, n, err)
			}
		}
	}

	empty := private(t)
	if _, err := disk.Restore(bytes.NewReader(whole[:100]), nil, empty); err == nil {
		t.Error("of 100 octets it is restored")
	}
	if _, err := disk.Restore(bytes.NewReader(whole), nil, empty); err != nil {
		t.Errorf("after one that failed: %v", err)
	}
	before := listing(t, empty)
	if _, err := disk.Restore(bytes.NewReader(whole), nil, empty); !errors.Is(err, disk.ErrNotEmpty) || listing(t, empty) != before {
		t.Errorf("over a store: %v", err)
	}
	s := open(t, empty, disk.Options{})
	defer s.Close()
	if _, err := disk.Restore(bytes.NewReader(whole), nil, empty); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("over a store in use: %v", err)
	}
}

// TestFaultsWhileRestoring: whichever operation of the disk fails, be it that it
// is full, there is all of the store or none, or one that is refused; and what
// is said to be restored is still there after a power cut.
func TestFaultsWhileRestoring(t *testing.T) {
	whole := backup(t)
	for n := int32(0); ; n++ {
		var count atomic.Int32
		mem := vfs.NewCrashableMem()
		_, err := disk.Restore(bytes.NewReader(whole), errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || count.Add(1)-1 != n {
				return nil
			}
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		})), "data")
		for _, after := range []vfs.FS{mem, mem.CrashClone(vfs.CrashCloneCfg{})} {
			c, verified := disk.Verify("data", after)
			if verified == nil && c.Sessions != 1 || err == nil && verified != nil {
				t.Errorf("operation %d: %v; then there are %v, %v", n, err, c, verified)
			}
		}
		if count.Load() <= n {
			if err != nil {
				t.Errorf("without a fault: %v", err)
			}
			return
		}
	}
}

// TestKilledAtABackup, or restoring one: what is left there is gone with the
// next start, or restore.
func TestKilledAtABackup(t *testing.T) {
	dir := private(t)
	leave := func() {
		for _, name := range []string{"backup.new", "restore.new"} {
			if err := os.MkdirAll(filepath.Join(dir, name, "store"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "restore.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Restore(bytes.NewReader(backup(t)), nil, dir); err != nil {
		t.Fatal(err)
	}
	leave()
	if c, err := disk.Verify(dir, nil); err != nil || c.Sessions != 1 {
		t.Errorf("Verify: %v, %v", c, err)
	}
	if err := open(t, dir, disk.Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
