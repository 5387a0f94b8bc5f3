package disk_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// facts is what a store on fs has, each in words, or why it cannot be had.
func facts(fs vfs.FS) (all []string, err error) {
	s, err := disk.Open("data", disk.Options{FS: fs})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.Load(func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Published:
			to := 0
			for range f.Receivers {
				to++
			}
			all = append(all, fmt.Sprintf("%d %+v to %d", f.Seq, *f.Message, to))
		default:
			all = append(all, fmt.Sprintf("%T %+v", f, f))
		}
		return nil
	})
	return all, err
}

// damagedStore is the disk of a small store: two lives' worth in tables, one
// more in the log alone if crashed.
func damagedStore(t *testing.T, crashed bool) *vfs.MemFS {
	mem := vfs.NewCrashableMem()
	seq := uint64(0)
	for life := range 3 {
		s := open(t, "data", disk.Options{FS: mem})
		if err := s.Load(func(store.Fact) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := keeps(s, &store.Session{ClientID: "ann", Edge: fmt.Sprint(life)}, &store.Session{ClientID: fmt.Sprint(life)}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			seq++
			if err := keeps(s, one(seq)); err != nil {
				t.Fatal(err)
			}
		}
		if crashed && life == 2 {
			disk.Mark(s)
			mem = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

// TestHostile10Damage: whichever octet of whichever file is another, wherever a file is
// cut, or if it is gone: the store says so, with the name of a file or a
// record, or has all that it had.
func TestHostile10Damage(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		mem := damagedStore(t, crashed)
		clone := func() *vfs.MemFS { return mem.CrashClone(vfs.CrashCloneCfg{}) }
		want, err := facts(clone())
		if err != nil || len(want) < 16 {
			t.Fatalf("undamaged: %v, %v", want, err)
		}
		names, err := mem.List("data")
		if err != nil {
			t.Fatal(err)
		}
		refused, tried := 0, 0
		try := func(what string, fs vfs.FS) {
			tried++
			got, err := facts(fs)
			switch {
			case err != nil:
				refused++
				if !tellsWhere(err) {
					t.Errorf("crashed %v, %s: %v", crashed, what, err)
				}
			case fmt.Sprint(got) != fmt.Sprint(want):
				t.Errorf("crashed %v, %s: it has %d of %d facts and says nothing", crashed, what, len(got), len(want))
			}
		}
		for _, name := range names {
			if name == "LOCK" {
				continue
			}
			path := mem.PathJoin("data", name)
			content := contents(t, mem, path)
			gone := clone()
			if err := gone.Remove(path); err != nil {
				t.Fatal(err)
			}
			try(name+" gone", gone)
			every := 1
			if testing.Short() {
				every += len(content) / 100
			}
			for at := 0; at < len(content); at += every {
				flipped := []byte(content)
				flipped[at] ^= 1 << (at % 8)
				fs := clone()
				rewrite(t, fs, path, string(flipped))
				try(fmt.Sprintf("%s octet %d flipped", name, at), fs)
				fs = clone()
				rewrite(t, fs, path, content[:at])
				try(fmt.Sprintf("%s cut at %d", name, at), fs)
			}
		}
		if refused < tried/4 {
			t.Errorf("of %d kinds of damage %d were told", tried, refused)
		}
		t.Logf("crashed %v: %d kinds of damage, %d told, the rest harmless", crashed, tried, refused)
	}
}

// TestYoungStoreIsNotTakenForEmpty: whatever is cut off a store that was killed
// as soon as it acknowledged something, it is refused, or has that.
func TestYoungStoreIsNotTakenForEmpty(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := open(t, "data", disk.Options{FS: mem})
	if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
		t.Fatal(err)
	}
	clone := func() *vfs.MemFS { return mem.CrashClone(vfs.CrashCloneCfg{}) }
	left := clone()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mem = left
	names, err := mem.List("data")
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, fs vfs.FS) {
		if got, err := facts(fs); err == nil && len(got) != 1 {
			t.Errorf("%s: it has %q and says nothing", what, got)
		} else if err != nil && !tellsWhere(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	try("nothing", clone())
	for _, name := range names {
		path := mem.PathJoin("data", name)
		gone := clone()
		if err := gone.Remove(path); err != nil {
			t.Fatal(err)
		}
		try(name+" gone", gone)
		content := contents(t, mem, path)
		for at := range len(content) {
			fs := clone()
			rewrite(t, fs, path, content[:at])
			try(fmt.Sprintf("%s cut at %d", name, at), fs)
		}
	}
}

// TestWhatCoreShouldNotDo does no harm that lasts: a message twice for the same
// session, and an identifier taken twice.
func TestWhatCoreShouldNotDo(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "data", disk.Options{FS: fs})
	ann := store.Receiver{ClientID: "ann", QoS: 1}
	twice := one(1)
	twice.Receivers = slices.Values([]store.Receiver{ann, ann})
	if err := keeps(s, &store.Session{ClientID: "ann"}, one(2), one(3),
		&store.Taken{Receiver: ann, Seq: 2, ID: 5},
		&store.Taken{Receiver: ann, Seq: 3, ID: 5}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := disk.Verify("data", fs); err != nil || c.Messages != 1 {
		t.Errorf("an identifier taken twice leaves %v, %v", c, err)
	}
	s = open(t, "data", disk.Options{FS: fs})
	if err := keeps(s, twice, &store.Dropped{ClientID: "ann", Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Verify("data", fs); err == nil || !strings.Contains(err.Error(), "message 1: nobody holds") {
		t.Errorf("Verify: %v", err)
	}
	for range 2 {
		got, err := facts(fs)
		if err != nil || len(got) != 3 || !strings.HasPrefix(got[1], "3 ") {
			t.Errorf("%q, %v; want the session, message 3 and that it was taken", got, err)
		}
	}
	if c, err := disk.Verify("data", fs); err != nil || c.Messages != 1 {
		t.Errorf("Verify: %v, %v", c, err)
	}
}

// tellsWhere reports whether err names what is damaged.
func tellsWhere(err error) bool {
	for _, name := range []string{".sst", "(type sstable)", "table 0", "file 0", ".log", "MANIFEST", "OPTIONS", "FORMAT", "MARK", "marker", "message", "session", "manifest"} {
		if strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}

func contents(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func rewrite(t *testing.T, fs vfs.FS, name, content string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(content))
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
