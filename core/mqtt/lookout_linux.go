package mqtt

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// A lookout reads for clients that speak MQTT right on TCP, many in one
// goroutine. A client that is silent then takes none, and 2.4 KB instead of 8; a
// message at QoS 0 from one of 1,000 publishers wakes none, and costs 0.74 of
// what it does otherwise. It waits by an epoll of its own, for which in turn the
// runtime waits.
//
// It never blocks but for that: a client whose packets take their time gets a
// goroutine for as long as that lasts.
type lookout struct {
	epoll *os.File
	raw   syscall.RawConn // of epoll
	fd    int             // of epoll

	carrier *carrier

	mu    sync.Mutex      // guards what follows
	conns map[int32]*conn // by descriptor
}

const (
	events = 32 // that are taken at a time
	ends   = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
)

func newLookout(k *carrier) (*lookout, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // to have the runtime wait for it
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &lookout{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, carrier: k, conns: make(map[int32]*conn)}
	if l.raw, err = l.epoll.SyscallConn(); err != nil {
		l.epoll.Close()
		return nil, err
	}
	return l, nil
}

// run reads for clients until close.
func (l *lookout) run() {
	g := &glance{lookout: l}
	g.attempt = g.try
	l.raw.Read(func(uintptr) bool {
		for g.look() {
		}
		return false
	})
}

func (l *lookout) close() { l.epoll.Close() }

// add has l read for c.
func (l *lookout) add(c *conn) error {
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		l.mu.Lock()
		l.conns[int32(fd)] = c
		l.mu.Unlock()
		e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)}
		failed = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(l.fd, syscall.EPOLL_CTL_ADD, int(fd), &e))
	})
	return errors.Join(err, failed)
}

// drop undoes add. It must come before the socket is closed.
func (l *lookout) drop(c *conn) {
	c.raw.Control(func(fd uintptr) {
		syscall.EpollCtl(l.fd, syscall.EPOLL_CTL_DEL, int(fd), nil)
		l.mu.Lock()
		delete(l.conns, int32(fd))
		l.mu.Unlock()
	})
}

// A glance is what a lookout sees at a time.
type glance struct {
	*lookout
	events [events]syscall.EpollEvent
	conns  [events]*conn

	room [bufferKeep]byte // for what has come from a client

	raw     syscall.RawConn // of the client that is read from
	into    []byte
	n       int
	err     error
	full    bool                  // into is: there may be more
	attempt func(fd uintptr) bool // try, made once
}

// look reads once for each client that has sent something. It reports whether
// there may be more that the runtime does not tell of again.
func (g *glance) look() (more bool) {
	n := eventsNow(g.fd, &g.events)
	if n == 0 {
		return false
	}
	g.lookout.mu.Lock()
	for i, e := range g.events[:n] {
		g.conns[i] = g.lookout.conns[e.Fd]
	}
	g.lookout.mu.Unlock()
	more = n == events
	now := time.Now()
	g.carrier.begin()
	for i, c := range g.conns[:n] {
		if c == nil {
			continue
		}
		g.raw, g.full = c.raw, false
		c.glance(g, g.room[:0], now)
		more = more || g.full || g.events[i].Events&ends != 0
	}
	clear(g.conns[:n])
	g.carrier.leave()
	return more
}

// Read reads what has come from the client that is read from, and says
// errLater if that is nothing.
func (g *glance) Read(p []byte) (int, error) {
	g.into = p
	err := g.raw.Read(g.attempt)
	g.full = g.n == len(p)
	switch {
	case err != nil:
		return 0, err
	case errors.Is(g.err, syscall.EINTR):
		g.full = true
		return 0, errLater
	case errors.Is(g.err, syscall.EAGAIN):
		return 0, errLater
	case g.n == 0 && g.err == nil:
		return 0, io.EOF
	}
	return g.n, g.err
}

func (g *glance) try(fd uintptr) bool {
	g.n, g.err = readNow(fd, g.into)
	return true
}
