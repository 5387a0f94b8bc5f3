package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// A link is a network interface that multicast is heard on and sent out of.
type link struct {
	net.Interface
	oob4, oob6 []byte
}

// linksOf returns the interfaces of these names, or all that are up. What we
// send out of one comes from local, unless that is a wildcard: the kernel, told
// the interface, would choose the address anew.
func linksOf(names []string, local netip.Addr) ([]link, error) {
	var found []net.Interface
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("udp: interface %q: %w", name, err)
		}
		found = append(found, *i)
	}
	if len(names) == 0 {
		all, err := net.Interfaces()
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if i.Flags&net.FlagUp != 0 {
				found = append(found, i)
			}
		}
	}
	var from net.IP
	if !local.IsUnspecified() {
		from = local.AsSlice()
	}
	var links []link
	for _, i := range found {
		links = append(links, link{
			Interface: i,
			oob4:      (&ipv4.ControlMessage{IfIndex: i.Index, Src: from.To4()}).Marshal(),
			oob6:      (&ipv6.ControlMessage{IfIndex: i.Index, Src: from}).Marshal(),
		})
	}
	return links, nil
}

// join opens a socket for group on each link. Unless all of them are wanted,
// one that can join is enough.
func join(group netip.AddrPort, links []link, all bool, c *Config, z *zones) ([]*socket, error) {
	if !group.Addr().IsMulticast() {
		return nil, fmt.Errorf("udp: %v is not a multicast address", group.Addr())
	}
	var joined []*socket
	var errs []error
	for _, l := range links {
		s, err := joinOn(group, l, c, z)
		if err != nil {
			errs = append(errs, fmt.Errorf("udp: group %v on %s: %w", group, l.Name, err))
			continue
		}
		joined = append(joined, s)
	}
	if all || len(joined) == 0 {
		return joined, errors.Join(errs...)
	}
	return joined, nil
}

// joinOn opens a socket that hears group on l, and nothing else: it is bound
// to the group's address, so no unicast reaches it. (Package net would bind it
// to the wildcard address instead, hence the system calls.)
func joinOn(group netip.AddrPort, l link, c *Config, z *zones) (*socket, error) {
	fd, err := open(group, l, c)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), group.String())
	defer f.Close()
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	s, err := newSocket(conn.(*net.UDPConn), group.Addr(), z)
	if err != nil {
		return nil, err
	}
	s.multicast = true
	return s, nil
}

func open(group netip.AddrPort, l link, c *Config) (int, error) {
	family := unix.AF_INET6
	if group.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	set := options{fd: fd}
	set.int(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // others may hear the group too
	set.int(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) // and so may our own socket on [::]
	set.int(unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, l.Index)
	set.receiveBuffer(c.ReceiveBuffer)
	if family == unix.AF_INET {
		set.int(unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		set.join4(group, l.Index)
	} else {
		set.int(unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		set.join6(group, l.Index)
	}
	if set.err != nil {
		unix.Close(fd)
		return -1, set.err
	}
	return fd, nil
}

func (o *options) join4(group netip.AddrPort, link int) {
	to := group.Addr().As4()
	o.do(func() error {
		return unix.Bind(o.fd, &unix.SockaddrInet4{Port: int(group.Port()), Addr: to})
	})
	o.do(func() error {
		return unix.SetsockoptIPMreqn(o.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreqn{Multiaddr: to, Ifindex: int32(link)})
	})
}

func (o *options) join6(group netip.AddrPort, link int) {
	to := group.Addr().As16()
	o.do(func() error {
		return unix.Bind(o.fd, &unix.SockaddrInet6{Port: int(group.Port()), Addr: to, ZoneId: uint32(link)})
	})
	o.do(func() error {
		return unix.SetsockoptIPv6Mreq(o.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: to, Interface: uint32(link)})
	})
}
