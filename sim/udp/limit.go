package udp

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// others is how many files are left for everything that is no endpoint.
const others = 256

// makeRoom raises the limit of open files so that n endpoints can have a
// socket each.
func makeRoom(n int) error {
	if n == 0 {
		return nil
	}
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	need := uint64(n + others)
	if r.Cur >= need {
		return nil
	}
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: need, Max: max(r.Max, need)})
	if err == nil {
		return nil // beyond the hard limit only root may go
	}
	if r.Max < need {
		return fmt.Errorf("a port for each of %d addresses takes as many sockets, and this process may open %s files: "+
			"raise its hard limit (ulimit -Hn %d), use fewer devices, or tell them apart by address or node id",
			n, limit(r.Max), need)
	}
	return fmt.Errorf("limit of open files: raise it from %d to %d: %w", r.Cur, need, err)
}

func limit(n uint64) string {
	if n >= math.MaxInt64 {
		return "any number of"
	}
	return fmt.Sprint(n)
}
