package disk_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// A smallDisk is one of so many octets.
type smallDisk struct {
	vfs.FS
	octets uint64
}

func (d smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	used := uint64(0)
	names, err := d.List("data")
	if err != nil {
		return vfs.DiskUsage{}, err
	}
	for _, name := range names {
		if f, err := d.Stat(d.PathJoin("data", name)); err == nil {
			used += uint64(f.Size())
		}
	}
	return vfs.DiskUsage{AvailBytes: d.octets - min(used, d.octets), TotalBytes: d.octets, UsedBytes: used}, nil
}

// TestRoomComesBack: a store that has filled the disk up to the floor refuses;
// once what is in it has been let go, the room is there again.
func TestRoomComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := smallDisk{vfs.NewMem(), 12 << 20}
		s := open(t, "data", disk.Options{FS: fs, DiskFreeMin: 4 << 20})
		defer s.Close()
		if err := keeps(s, &store.Session{ClientID: "ann"}); err != nil {
			t.Fatal(err)
		}
		seq, err := uint64(0), error(nil)
		for ; err == nil && seq < 1000; seq++ {
			f := one(seq + 1)
			f.Message.Payload = make([]byte, 64<<10)
			for i := range f.Message.Payload {
				f.Message.Payload[i] = byte(i * int(seq) >> 3)
			}
			err = keeps(s, f)
		}
		if !errors.Is(err, store.ErrFull) || seq < 50 || seq > 250 {
			t.Fatalf("after %d messages: %v", seq, err)
		}
		if u, _ := fs.GetDiskUsage(""); u.AvailBytes < 2<<20 {
			t.Errorf("refused when %d octets were free", u.AvailBytes)
		}
		if err := keeps(s, &store.Ended{ClientID: "ann"}); err != nil {
			t.Fatalf("to let go is refused: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := keeps(s, &store.Session{ClientID: "bob"}); err != nil {
			t.Errorf("a minute after all was let go: %v", err)
		}
	})
}
