package udp

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn/transport/mmsg"
)

// Batch is how many datagrams one system call moves at most.
const Batch = mmsg.Batch

// nameOf returns the struct sockaddr of a, and how long it is.
func nameOf(a netip.AddrPort) (n mmsg.Name, length uint32) {
	length = n.Put(a, scope(a.Addr()))
	return n, length
}

// sockaddr is a for bind(2).
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: scope(a.Addr())}
}

// scope is the number of the interface that a link-local address is on.
func scope(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// same reports whether a and b are the same address and port.
func same(a, b *mmsg.Name, is4 bool) bool {
	if is4 {
		return [8]byte(b[:8]) == [8]byte(a[:8])
	}
	return [4]byte(b[:4]) == [4]byte(a[:4]) && [16]byte(b[8:24]) == [16]byte(a[8:24])
}

// drops returns how many datagrams the kernel has dropped that came to fd.
func drops(fd int) uint32 {
	const index = 8 // SK_MEMINFO_DROPS
	var info [index + 1]uint32
	length := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return 0
	}
	return info[index]
}
