package client

import (
	"context"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// askingSocket opens a socket that sends multicast out of link, or wherever
// the routing table has it if that is nil, and hears what is sent to it alone.
func askingSocket(network string, link *net.Interface, hopLimit int) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		ctl := raw.Control(func(fd uintptr) { err = sendTo(int(fd), network, link, hopLimit) })
		if ctl != nil {
			return ctl
		}
		return err
	}}
	return lc.ListenPacket(context.Background(), network, net.JoinHostPort(sourceOn(network, link), "0"))
}

// sourceOn returns the IPv4 address to ask from, or nothing to leave it to the
// kernel. To multicast that goes out of the loopback interface the kernel gives
// an address of another one, or 0.0.0.0 if there is none.
func sourceOn(network string, link *net.Interface) string {
	if network != "udp4" || link == nil {
		return ""
	}
	addresses, _ := link.Addrs()
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

func sendTo(fd int, network string, link *net.Interface, hopLimit int) error {
	index := 0
	if link != nil {
		index = link.Index
	}
	if network == "udp4" {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, hopLimit); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		return os.NewSyscallError("setsockopt",
			unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)}))
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hopLimit); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index))
}

// hearingSocket opens a socket that hears a group, and nothing else: it is
// bound to the group's address, so that it takes no unicast from a gateway on
// this machine. (Package net would bind it to the wildcard address instead,
// hence the system calls.)
func hearingSocket(group *net.UDPAddr, link *net.Interface) (net.PacketConn, error) {
	index := 0
	if link != nil {
		index = link.Index
	}
	family, bind, join := unix.AF_INET6, sockaddr6(group, index), join6(group, index)
	if group.IP.To4() != nil {
		family, bind, join = unix.AF_INET, sockaddr4(group), join4(group, index)
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), group.String())
	defer f.Close()
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }, // others may hear it too
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) },
		func() error { return unix.Bind(fd, bind) },
		func() error { return join(fd) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return net.FilePacketConn(f)
}

func sockaddr4(group *net.UDPAddr) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: group.Port, Addr: [4]byte(group.IP.To4())}
}

func sockaddr6(group *net.UDPAddr, link int) unix.Sockaddr {
	return &unix.SockaddrInet6{Port: group.Port, Addr: [16]byte(group.IP.To16()), ZoneId: uint32(link)}
}

func join4(group *net.UDPAddr, link int) func(fd int) error {
	return func(fd int) error {
		m := &unix.IPMreqn{Multiaddr: [4]byte(group.IP.To4()), Ifindex: int32(link)}
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, m)
	}
}

func join6(group *net.UDPAddr, link int) func(fd int) error {
	return func(fd int) error {
		m := &unix.IPv6Mreq{Multiaddr: [16]byte(group.IP.To16()), Interface: uint32(link)}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, m)
	}
}
