package udp

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNetwork moves the test into a network of its own, which only root may
// make.
func ownNetwork(t *testing.T, commands ...string) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread is of no more use to others
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip(err)
	}
	for _, command := range commands {
		args := strings.Fields(command)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
}

// TestPortsRunOut has more devices than an address has ports: they go on with
// the next address of loopback.
func TestPortsRunOut(t *testing.T) {
	ownNetwork(t, "ip link set lo up")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40099"), 0); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, "127.0.0.1:0")
	n := open(t, Config{Target: g.addr})
	if err := n.Attach(0, modesOf(250, Port)); err != nil {
		t.Fatal(err)
	}
	exchange(t, n, 0, upTo(250))
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.peers) != 250 {
		t.Errorf("the gateway saw %d peers, want 250", len(g.peers))
	}
}

// TestPrefix has devices with addresses of a prefix that is routed to this
// host.
func TestPrefix(t *testing.T) {
	ownNetwork(t,
		"ip link set lo up",
		"ip -6 route add local fd00:5e45::/64 dev lo",
		"ip route add local 10.99.0.0/16 dev lo")
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

// TestPrefixElsewhere: a prefix that leads elsewhere is refused, rather than no
// answer ever heard.
func TestPrefixElsewhere(t *testing.T) {
	ownNetwork(t, "ip link set lo up")
	for prefix, target := range map[string]string{"fd00:5e45::/64": "[::1]:1884", "10.99.0.0/16": "127.0.0.1:1884"} {
		n := open(t, Config{Target: netip.MustParseAddrPort(target), Prefix: netip.MustParsePrefix(prefix)})
		err := n.Attach(0, modesOf(1, Address))
		if !errors.Is(err, ErrNoAddresses) || !strings.Contains(err.Error(), "ip route add local "+prefix+" dev lo") {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}
