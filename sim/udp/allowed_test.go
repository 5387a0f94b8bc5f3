package udp

import (
	"errors"
	"net/netip"
	"testing"
)

func TestAllowed(t *testing.T) {
	for a, want := range map[string]bool{
		"127.0.0.1": true, "127.255.0.1": true, "::1": true, "::ffff:127.0.0.1": true,
		"10.1.2.3": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "::ffff:192.168.1.1": true,
		"169.254.3.4": true, "fe80::1": true, "fd00::1": true,
		"172.32.0.1": false, "11.0.0.1": false, "192.169.0.1": false, "8.8.8.8": false, "100.64.0.1": false,
		"2001:db8::1": false, "::ffff:8.8.8.8": false,
		"0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false,
	} {
		if err := Allowed(netip.MustParseAddr(a)); (err == nil) != want {
			t.Errorf("Allowed(%s) = %v", a, err)
		}
	}
	if Allowed(netip.Addr{}) == nil {
		t.Error("no address is allowed")
	}
}

// TestTarget refuses to send where nobody asked for it, unless told.
func TestTarget(t *testing.T) {
	public := netip.MustParseAddrPort("192.0.2.1:1884")
	if _, err := Open(Config{Target: public}); !errors.Is(err, ErrPublic) {
		t.Errorf("Open(%v) = %v, want ErrPublic", public, err)
	}
	n, err := Open(Config{Target: public, Anywhere: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Attach(0, modesOf(1, Address)); err == nil {
		t.Error("devices got addresses of 127.0.0.0/8 to reach a public address from")
	}
	for _, c := range []Config{
		{},
		{Target: netip.MustParseAddrPort("127.0.0.1:0")},
		{Target: netip.MustParseAddrPort("127.0.0.1:1"), MaxDatagram: 70000},
		{Target: netip.MustParseAddrPort("[::1]:1"), Prefix: netip.MustParsePrefix("127.0.0.0/8")},
		{Target: netip.MustParseAddrPort("127.0.0.1:1"), Prefix: netip.MustParsePrefix("127.0.0.0/32")},
	} {
		if _, err := Open(c); err == nil {
			t.Errorf("Open(%+v) opened", c)
		}
	}
}
