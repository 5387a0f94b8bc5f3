package mmsg

import (
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// open opens a UDP socket on a free port of a.
func open(t *testing.T, a unix.Sockaddr, family int) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // one that would wait
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, a); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port))
	}
	return fd, at
}

// TestMessages: what is sent in one call is read in one call, whole, in order
// and with its sender's address, and then there is nothing, which is not waited
// for.
func TestMessages(t *testing.T) {
	for _, tt := range []struct {
		at     unix.Sockaddr
		family int
	}{
		{&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, unix.AF_INET},
		{&unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}, unix.AF_INET6},
	} {
		from, sender := open(t, tt.at, tt.family)
		to, receiver := open(t, tt.at, tt.family)
		var out Messages
		for i := range out.Hdr {
			said := fmt.Append(nil, "message ", i)
			out.Iov[i][0].Base = unsafe.SliceData(said)
			out.Iov[i][0].SetLen(len(said))
			h := &out.Hdr[i]
			h.Name, h.Namelen = &out.Name[i][0], out.Name[i].Put(receiver, 0)
			h.Iov = &out.Iov[i][0]
			h.SetIovlen(1)
		}
		if n, errno := out.Send(from, 0, Batch); n != Batch || errno != 0 {
			t.Fatalf("%v: sent %d, %v", sender, n, errno)
		}
		in := Reserve(len("message 0"))
		if n, errno := in.Receive(to, 0, Batch); n != Batch || errno != 0 {
			t.Fatalf("%v: received %d, %v", receiver, n, errno)
		}
		for i := range Batch {
			b, whole := in.Octets(i)
			want := fmt.Sprint("message ", i)
			if string(b) != want[:len("message 0")] || whole != (i < 10) {
				t.Errorf("message %d is %q, whole: %v", i, b, whole)
			}
			if a, scope := in.Name[i].Addr(); a != sender || scope != 0 {
				t.Errorf("message %d is from %v on %d; want %v", i, a, scope, sender)
			}
		}
		if n, errno := in.Receive(to, 0, Batch); n != 0 || errno != unix.EAGAIN {
			t.Errorf("%v: received %d more, %v", receiver, n, errno)
		}
	}
}

// TestName: an address is the same once written as the kernel has it.
func TestName(t *testing.T) {
	for _, tt := range []struct {
		a     string
		scope uint32
	}{{"192.0.2.7:1884", 0}, {"[2001:db8::7]:65535", 0}, {"[fe80::7]:256", 3}} {
		var n Name
		a := netip.MustParseAddrPort(tt.a)
		n.Put(a, tt.scope)
		if got, scope := n.Addr(); got != a || scope != tt.scope {
			t.Errorf("%v on %d is read as %v on %d", a, tt.scope, got, scope)
		}
	}
}
