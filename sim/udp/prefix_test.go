package udp

import (
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPrefix has devices with addresses of a prefix that is routed to this
// host, in a network of its own: only root may make one.
func TestPrefix(t *testing.T) {
	runtime.LockOSThread() // for good: the thread is of no more use to others
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip(err)
	}
	for _, command := range []string{
		"ip link set lo up",
		"ip -6 route add local fd00:5e45::/64 dev lo",
		"ip route add local 10.99.0.0/16 dev lo",
	} {
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	for prefix, listen := range map[string]string{"fd00:5e45::/64": "[::1]:0", "10.99.0.0/16": "127.0.0.1:0"} {
		g := newGateway(t, listen)
		n := open(t, Config{Target: g.addr, Prefix: netip.MustParsePrefix(prefix)})
		if err := n.Attach(0, modesOf(devices, Address)); err != nil {
			t.Fatal(err)
		}
		exchange(t, n, 0, upTo(devices))
		g.mu.Lock()
		if len(g.peers) != devices {
			t.Errorf("%s: the gateway saw %d peers, want %d", prefix, len(g.peers), devices)
		}
		for peer := range g.peers {
			if a := netip.MustParseAddrPort(peer).Addr(); !netip.MustParsePrefix(prefix).Contains(a) {
				t.Fatalf("%v is not of %s", a, prefix)
			}
		}
		g.mu.Unlock()
	}
}
