package udp

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A quietConn is a socket of which the runtime hears when it can be read, and
// no more. Of a net.UDPConn it hears as well that another datagram can be
// written, whenever the kernel is done with one: on loopback sending takes
// 6.4 µs a datagram with that, and 3.7 without.
type quietConn struct {
	epoll    *os.File        // of fd, to be read, and of nothing else: the runtime watches this
	readable syscall.RawConn // of epoll

	mu     sync.RWMutex // guards what follows
	fd     int
	closed bool
}

// quiet takes the socket of c over, and closes c.
func quiet(c *net.UDPConn) (*quietConn, error) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	q := new(quietConn)
	ctl := raw.Control(func(fd uintptr) { q.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if ctl != nil || err != nil {
		return nil, errors.Join(ctl, os.NewSyscallError("fcntl", err))
	}
	if err := q.watch(); err != nil {
		unix.Close(q.fd)
		return nil, err
	}
	return q, nil
}

// watch opens epoll.
func (q *quietConn) watch() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	set := options{fd: fd}
	set.do(func() error { return unix.SetNonblock(fd, true) }) // or the runtime would not watch it
	set.do(func() error {
		return os.NewSyscallError("epoll_ctl", unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, q.fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	})
	if set.err != nil {
		unix.Close(fd)
		return set.err
	}
	q.epoll = os.NewFile(uintptr(fd), "epoll")
	q.readable, err = q.epoll.SyscallConn()
	return err
}

// read runs f, and again each time that there is something new to be read, until
// it reports true. One goroutine reads.
func (q *quietConn) read(f func(fd int) bool) error {
	q.epoll.SetReadDeadline(time.Time{})
	if q.control(func(int) {}) != nil { // after that, stop ends the read
		return net.ErrClosed
	}
	return q.readable.Read(func(uintptr) bool { return f(q.fd) })
}

// write runs f, and again each time that the kernel has room, until it reports
// true. For a kernel without any for long it does not wait: others would have
// to wait, too.
func (q *quietConn) write(f func(fd int) bool) error {
	const long = 100 // milliseconds
	q.mu.RLock()
	defer q.mu.RUnlock()
	for !q.closed {
		if f(q.fd) {
			return nil
		}
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLOUT}}, long); n == 0 && err == nil {
			return os.ErrDeadlineExceeded
		}
	}
	return net.ErrClosed
}

// control runs f.
func (q *quietConn) control(f func(fd int)) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return net.ErrClosed
	}
	f(q.fd)
	return nil
}

// stopReading ends the read that goes on, if there is one.
func (q *quietConn) stopReading() { q.epoll.SetReadDeadline(time.Unix(1, 0)) }

// stop has everything fail from now on.
func (q *quietConn) stop() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.stopReading()
}

// close closes what is stopped and not read any more.
func (q *quietConn) close() error {
	if err := q.epoll.Close(); err != nil {
		return err
	}
	return unix.Close(q.fd)
}
