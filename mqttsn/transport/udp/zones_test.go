package udp

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// TestZones: an interface goes by its name, and one that there is not by its
// number.
func TestZones(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	const none = 1 << 30
	z := new(zones)
	for _, tt := range []struct {
		name   string
		number uint32
	}{{"lo", uint32(lo.Index)}, {strconv.Itoa(none), none}} {
		if got := z.name(tt.number); got != tt.name {
			t.Errorf("interface %d is %q; want %q", tt.number, got, tt.name)
		}
		if got := z.number(netip.MustParseAddr("fe80::1").WithZone(tt.name)); got != tt.number {
			t.Errorf("interface %q is %d; want %d", tt.name, got, tt.number)
		}
	}
	if got := z.number(netip.IPv6Loopback()); got != 0 {
		t.Errorf("an address that is on no interface is on %d", got)
	}
}

// TestNewZone: an interface that has just come goes by its name at once, or a
// peer would be another once that is known.
func TestNewZone(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func(*zones) bool{
		func(z *zones) bool { return z.name(uint32(lo.Index)) == "lo" },
		func(z *zones) bool { return z.number(netip.MustParseAddr("fe80::1%lo")) == uint32(lo.Index) },
	} {
		if !ask(&zones{asked: time.Now().Add(-2 * missFor)}) {
			t.Error("an interface that came since the kernel was asked is not known")
		}
	}
}
