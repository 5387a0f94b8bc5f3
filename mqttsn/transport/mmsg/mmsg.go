// Package mmsg moves many datagrams by one system call: recvmmsg(2) and
// sendmmsg(2). It needs Linux.
package mmsg

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Batch is how many datagrams one system call moves at most.
const Batch = 64

// A Header is struct mmsghdr of recvmmsg(2).
type Header struct {
	unix.Msghdr
	Len uint32 // of what was read, in octets
}

// A Name is a struct sockaddr of either family.
type Name [unix.SizeofSockaddrInet6]byte

// A Control is room for a struct in_pktinfo and a struct in6_pktinfo, each
// behind its struct cmsghdr, aligned as they have to be.
type Control [9]uint64

// Header is the first in c.
func (c *Control) Header() *unix.Cmsghdr { return (*unix.Cmsghdr)(unsafe.Pointer(c)) }

// Data is what follows the first header.
func (c *Control) Data() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), unsafe.Sizeof(*c))[unix.CmsgLen(0):]
}

// Messages are the arguments of both calls. Its structs point at each other, so
// it is not to be copied.
type Messages struct {
	Hdr     [Batch]Header
	Iov     [Batch][2]unix.Iovec
	Name    [Batch]Name
	Control [Batch]Control
}

// Reserve makes room for a batch to read, of datagrams of up to size octets.
func Reserve(size int) *Messages {
	m := new(Messages)
	arena := make([]byte, Batch*size)
	for i := range m.Hdr {
		m.Iov[i][0].Base = &arena[i*size]
		m.Iov[i][0].SetLen(size)
		h := &m.Hdr[i]
		h.Iov = &m.Iov[i][0]
		h.SetIovlen(1)
		h.Name = &m.Name[i][0]
		h.Control = (*byte)(unsafe.Pointer(&m.Control[i]))
	}
	return m
}

// Receive reads datagrams into m from the i-th on, n at most, without waiting,
// and returns how many it has read.
func (m *Messages) Receive(fd, i, n int) (int, unix.Errno) {
	for k := i; k < i+n; k++ {
		h := &m.Hdr[k]
		h.Namelen = uint32(len(m.Name[k]))
		h.SetControllen(int(unsafe.Sizeof(m.Control[k])))
	}
	return m.call(unix.SYS_RECVMMSG, fd, i, n)
}

// Send sends the messages from the i-th to the one before the n-th, without
// waiting, and returns how many the kernel took. The error is the first one's.
func (m *Messages) Send(fd, i, n int) (int, unix.Errno) {
	return m.call(unix.SYS_SENDMMSG, fd, i, n-i)
}

// call does not tell the runtime of the system call, since it never waits: to be
// given another thread's turn in the middle of a batch only costs.
func (m *Messages) call(number uintptr, fd, i, n int) (int, unix.Errno) {
	for n > 0 {
		r, _, errno := unix.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&m.Hdr[i])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(r), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
	return 0, 0
}

// Octets returns the i-th datagram that was read, and whether it is whole.
func (m *Messages) Octets(i int) (b []byte, whole bool) {
	h := &m.Hdr[i]
	return unsafe.Slice(m.Iov[i][0].Base, h.Len), h.Flags&unix.MSG_TRUNC == 0
}

// OOB returns the control messages that came with the i-th datagram.
func (m *Messages) OOB(i int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&m.Control[i])), m.Hdr[i].Controllen)
}

// Put makes a the name, and returns how long that is. An IPv6 address is on the
// interface of that number, or zero.
func (n *Name) Put(a netip.AddrPort, scope uint32) (length uint32) {
	if a.Addr().Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(n)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
		length = unix.SizeofSockaddrInet4
	} else {
		*(*unix.RawSockaddrInet6)(unsafe.Pointer(n)) = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16(), Scope_id: scope}
		length = unix.SizeofSockaddrInet6
	}
	n[2], n[3] = byte(a.Port()>>8), byte(a.Port())
	return length
}

// Addr is the address that the kernel put there, and the number of the
// interface that it is on, if it is of that kind.
func (n *Name) Addr() (a netip.AddrPort, scope uint32) {
	port := uint16(n[2])<<8 | uint16(n[3])
	if (*unix.RawSockaddr)(unsafe.Pointer(n)).Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[4:])), port), 0
	}
	scope = (*unix.RawSockaddrInet6)(unsafe.Pointer(n)).Scope_id
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(n[8:])), port), scope
}
