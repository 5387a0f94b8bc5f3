// Package echo sends back every datagram that comes, and nothing else: what a
// machine's UDP can do at most, to measure a gateway against.
package echo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	batch   = 64   // datagrams of one system call
	longest = 2048 // octets of one
	buffer  = 8 << 20
)

// Serve echoes on a loopback address of IPv4, with a socket for each core as a
// gateway has, until ctx ends. It tells ready where.
func Serve(ctx context.Context, address string, ready func(net.Addr)) error {
	config := net.ListenConfig{Control: prepare}
	var sockets []*net.UDPConn
	defer func() {
		for _, s := range sockets {
			s.Close()
		}
	}()
	for range runtime.GOMAXPROCS(0) {
		c, err := config.ListenPacket(ctx, "udp4", address)
		if err != nil {
			return fmt.Errorf("raw UDP echo: %w", err)
		}
		address = c.LocalAddr().String() // the others share what the first was given
		sockets = append(sockets, c.(*net.UDPConn))
	}
	ready(sockets[0].LocalAddr())
	var all sync.WaitGroup
	errs := make([]error, len(sockets))
	for i, s := range sockets {
		all.Go(func() { errs[i] = serve(s) })
	}
	<-ctx.Done()
	for _, s := range sockets {
		s.Close()
	}
	all.Wait()
	return errors.Join(errs...)
}

// prepare has sockets share a port, and hold as much as a gateway's.
func prepare(_, _ string, c syscall.RawConn) error {
	var err error
	ctl := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer))
		}
	})
	return errors.Join(ctl, err)
}

// serve reads and writes in batches, until s is closed.
func serve(s *net.UDPConn) error {
	c := ipv4.NewPacketConn(s)
	ms := make([]ipv4.Message, batch)
	for i := range ms {
		ms[i].Buffers = [][]byte{make([]byte, longest)}
	}
	for {
		n, err := c.ReadBatch(ms, 0)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("raw UDP echo: %w", err)
		}
		for i := range ms[:n] {
			ms[i].Buffers[0] = ms[i].Buffers[0][:ms[i].N]
		}
		for sent := 0; sent < n; {
			k, err := c.WriteBatch(ms[sent:n], 0)
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			sent += max(k, 1) // one that cannot be sent is lost, as on any network
		}
		for i := range ms {
			ms[i].Buffers[0] = ms[i].Buffers[0][:longest]
		}
	}
}
