package udp

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Batch is how many datagrams one system call moves at most.
const Batch = 64

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// A name is a struct sockaddr of either family.
type name [unix.SizeofSockaddrInet6]byte

// A control is room for one struct in6_pktinfo or in_pktinfo behind its
// struct cmsghdr, aligned as they have to be.
type control [5]uint64

func (c *control) header() *unix.Cmsghdr { return (*unix.Cmsghdr)(unsafe.Pointer(c)) }

// data is what follows the header.
func (c *control) data() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), unsafe.Sizeof(*c))[unix.CmsgLen(0):]
}

// messages are the arguments of recvmmsg and sendmmsg. Its structs point at
// each other, so it is not to be copied.
type messages struct {
	hdr     [Batch]mmsghdr
	iov     [Batch][2]unix.Iovec
	name    [Batch]name
	control [Batch]control
}

// reserve makes room for a batch to read, of datagrams of up to size octets.
func reserve(size int) *messages {
	m := new(messages)
	arena := make([]byte, Batch*size)
	for i := range m.hdr {
		m.iov[i][0].Base = &arena[i*size]
		m.iov[i][0].SetLen(size)
		h := &m.hdr[i].hdr
		h.Iov = &m.iov[i][0]
		h.SetIovlen(1)
		h.Name = &m.name[i][0]
		h.Control = (*byte)(unsafe.Pointer(&m.control[i]))
	}
	return m
}

// receive reads datagrams into m from the i-th on, without waiting, and
// returns how many it has read.
func (m *messages) receive(fd, i, n int) (int, unix.Errno) {
	for k := i; k < i+n; k++ {
		h := &m.hdr[k].hdr
		h.Namelen = uint32(len(m.name[k]))
		h.SetControllen(int(unsafe.Sizeof(m.control[k])))
	}
	for {
		r, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdr[i])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(r), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// octets returns the i-th datagram that was read, and whether it is whole.
func (m *messages) octets(i int) (b []byte, whole bool) {
	h := &m.hdr[i]
	return unsafe.Slice(m.iov[i][0].Base, h.len), h.hdr.Flags&unix.MSG_TRUNC == 0
}

// send sends the messages from the i-th to the one before the n-th, and
// returns how many the kernel took. The error is the first one's.
func (m *messages) send(fd, i, n int) (int, unix.Errno) {
	for {
		r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.hdr[i])), uintptr(n-i), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(r), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// nameOf returns the struct sockaddr of a, and how long it is.
func nameOf(a netip.AddrPort) (n name, length uint32) {
	if a.Addr().Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&n))
		sa.Family, sa.Addr = unix.AF_INET, a.Addr().As4()
		n[2], n[3] = byte(a.Port()>>8), byte(a.Port())
		return n, unix.SizeofSockaddrInet4
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&n))
	sa.Family, sa.Addr, sa.Scope_id = unix.AF_INET6, a.Addr().As16(), scope(a.Addr())
	n[2], n[3] = byte(a.Port()>>8), byte(a.Port())
	return n, unix.SizeofSockaddrInet6
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

// from reports whether the i-th datagram that was read came from a, by
// address and port.
func (m *messages) from(i int, a *name, is4 bool) bool {
	b := &m.name[i]
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
