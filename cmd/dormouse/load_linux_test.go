package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A load is MQTT 3.1.1 clients that publish, subscribe and count, all in one
// goroutine on one epoll, to leave the machine to the broker.
type load struct {
	b       testing.TB
	epoll   int
	clients map[int32]*loadClient
	buf     []byte
	events  []syscall.EpollEvent

	onMessage func(packet []byte) // of each PUBLISH that comes; nil: nothing
	received  int                 // PUBLISH packets
	other     int                 // packets of all other types
}

// A loadClient is one client: a socket and what is on its way.
type loadClient struct {
	fd     int
	rest   []byte // of a packet that has not all come
	out    []byte // what the socket has not taken
	flying int    // publishes not acknowledged to the end
	id     uint16
}

func newLoad(b testing.TB) *load {
	b.Helper()
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		b.Fatal(err)
	}
	l := &load{
		b: b, epoll: epoll,
		clients: make(map[int32]*loadClient),
		buf:     make([]byte, 256<<10),
		events:  make([]syscall.EpollEvent, 256),
	}
	b.Cleanup(l.close)
	return l
}

func (l *load) close() {
	if l.clients == nil {
		return
	}
	for fd := range l.clients {
		syscall.Close(int(fd))
	}
	l.clients = nil
	syscall.Close(l.epoll)
}

// dial connects a client, and waits until the broker has let it in.
func (l *load) dial(addr *net.TCPAddr, name string) *loadClient {
	l.b.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())})
	}
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err == nil {
		err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		l.b.Fatalf("client %s: %v", name, err)
	}
	c := &loadClient{fd: fd}
	l.clients[int32(fd)] = c
	packet := append([]byte{0x10, byte(12 + len(name)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(name))}, name...)
	l.ask(c, packet)
	return c
}

// subscribe subscribes c and waits for the answer.
func (l *load) subscribe(c *loadClient, filter string, qos byte) {
	l.b.Helper()
	l.ask(c, subscribePacket(filter, qos))
}

func subscribePacket(filter string, qos byte) []byte {
	packet := append([]byte{0x82, byte(5 + len(filter)), 0, 1, 0, byte(len(filter))}, filter...)
	return append(packet, qos)
}

// ask sends a packet and waits for the next that is not a PUBLISH.
func (l *load) ask(c *loadClient, packet []byte) {
	l.b.Helper()
	before := l.other
	l.send(c, packet)
	for since := time.Now(); l.other == before; l.turn(100) {
		if time.Since(since) > silence {
			l.b.Fatalf("no answer to %x", packet[:2])
		}
	}
}

// appendPublish appends a PUBLISH with a packet identifier of c's.
func (c *loadClient) appendPublish(b []byte, topic string, qos byte, retain bool, payload []byte) []byte {
	remaining := 2 + len(topic) + len(payload)
	head := byte(0x30) | qos<<1
	if retain {
		head |= 1
	}
	if qos > 0 {
		remaining += 2
	}
	b = append(b, head)
	b = binary.AppendUvarint(b, uint64(remaining)) // the same as MQTT's, §2.2.3
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	if qos > 0 {
		c.id = max(1, c.id+1)
		c.flying++
		b = binary.BigEndian.AppendUint16(b, c.id)
	}
	return append(b, payload...)
}

// send has a socket take what it can; the rest waits in out.
func (l *load) send(c *loadClient, packets []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, packets...)
		packets = c.out
	}
	n, err := syscall.Write(c.fd, packets)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		l.b.Fatalf("the broker has hung up: %v", err)
	}
	c.out = append(c.out[:0], packets[max(n, 0):]...)
}

// turn reads what there is, or comes within so many milliseconds, and answers
// it.
func (l *load) turn(wait int) {
	n, err := syscall.EpollWait(l.epoll, l.events, wait)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		l.b.Fatal(err)
	}
	for _, e := range l.events[:max(n, 0)] {
		if c := l.clients[e.Fd]; c != nil {
			l.read(c)
		}
	}
}

// read reads from one socket, once.
func (l *load) read(c *loadClient) {
	had := copy(l.buf, c.rest)
	n, err := syscall.Read(c.fd, l.buf[had:])
	if errors.Is(err, syscall.EAGAIN) {
		return
	}
	if n <= 0 || err != nil {
		l.b.Fatalf("the broker has hung up: %v", err)
	}
	in := l.buf[:had+n]
	var answers []byte
	for {
		remaining, size := binary.Uvarint(in[min(1, len(in)):])
		if size <= 0 || len(in) < 1+size+int(remaining) {
			break
		}
		packet := in[:1+size+int(remaining)]
		in = in[len(packet):]
		answers = l.take(c, packet, packet[1+size:], answers)
	}
	c.rest = append(c.rest[:0], in...)
	if len(answers) > 0 {
		l.send(c, answers)
	}
}

// take counts a packet and appends the answer.
func (l *load) take(c *loadClient, packet, body, answers []byte) []byte {
	if packet[0]>>4 != 3 {
		l.other++
	}
	switch packet[0] >> 4 {
	case 3: // PUBLISH
		l.received++
		if l.onMessage != nil {
			l.onMessage(packet)
		}
		if qos := packet[0] >> 1 & 3; qos > 0 {
			id := body[2+binary.BigEndian.Uint16(body):]
			answers = append(answers, 0x30+qos<<4, 2, id[0], id[1]) // PUBACK, PUBREC
		}
	case 4, 7: // PUBACK, PUBCOMP
		c.flying--
	case 5: // PUBREC
		answers = append(answers, 0x62, 2, body[0], body[1])
	case 6: // PUBREL
		answers = append(answers, 0x70, 2, body[0], body[1])
	}
	return answers
}

// A stream is a load that publishes on some topics what subscribers receive.
type stream struct {
	*load
	publishers []*loadClient
	topics     []string // of each publisher
	fanout     int      // subscribers of each message
	qos        byte
	payload    []byte

	burst  int // messages of one publisher that may be on their way, at QoS 0 in one write
	window int // messages of all that may be on their way to the subscribers
	sent   int // ever
	next   int // publisher
}

// newStream connects publishers and subscribers to one broker.
func newStream(b testing.TB, addr *net.TCPAddr, publishers, subscribers int, qos byte, size int) *stream {
	b.Helper()
	s := &stream{load: newLoad(b), fanout: subscribers, qos: qos, payload: make([]byte, size), burst: 64}
	for i := range subscribers {
		s.subscribe(s.dial(addr, fmt.Sprintf("sub-%d", i)), "bench/+", qos)
	}
	for i := range publishers {
		s.publishers = append(s.publishers, s.dial(addr, fmt.Sprintf("pub-%d", i)))
		s.topics = append(s.topics, fmt.Sprintf("bench/%04d", i))
	}
	// Nobody's queue may overflow: ours holds 1,000.
	s.window = 500
	if publishers > 1 {
		s.burst = 1
	}
	if subscribers > 1 {
		s.window = 64
	}
	return s
}

// A slice is what one run of a stream has brought.
type slice struct {
	delivered int
	lost      int
	elapsed   time.Duration
}

// run publishes for d, rate messages a second in all or, with zero, as fast as
// the broker delivers them; then it waits until all has come.
func (s *stream) run(d time.Duration, rate float64) slice {
	sent := s.sent
	start := time.Now()
	last, since := s.received, start
	for {
		now := time.Now()
		if s.received != last {
			last, since = s.received, now
		}
		over := now.Sub(start) >= d
		missing := s.sent*s.fanout - s.received
		if over && (missing == 0 && s.landed() || now.Sub(since) > 3*time.Second) {
			s.received += missing // not to be waited for again
			return slice{(s.sent-sent)*s.fanout - missing, missing, since.Sub(start)}
		}
		if !over {
			n := s.window - missing/s.fanout
			if rate > 0 {
				n = min(n, int(rate*now.Sub(start).Seconds())-(s.sent-sent))
			}
			s.publish(n)
		}
		s.turn(1)
	}
}

// landed reports whether all that was published has been acknowledged.
func (s *stream) landed() bool {
	return s.qos == 0 || !slices.ContainsFunc(s.publishers, func(c *loadClient) bool { return c.flying > 0 })
}

// publish publishes n messages, or as many as the windows leave room for.
func (s *stream) publish(n int) {
	for range s.publishers {
		if n <= 0 {
			return
		}
		c, topic := s.publishers[s.next], s.topics[s.next]
		s.next = (s.next + 1) % len(s.publishers)
		if len(c.out) > 0 {
			s.send(c, nil)
			continue
		}
		var packets []byte
		for range min(n, s.burst-c.flying) {
			packets = c.appendPublish(packets, topic, s.qos, false, s.payload)
			s.sent++
			n--
		}
		if len(packets) > 0 {
			s.send(c, packets)
		}
	}
}

// ignoreSubscribers has the subscribers read nothing from now on.
func (s *stream) ignoreSubscribers() {
	for fd, c := range s.clients {
		if slices.Contains(s.publishers, c) {
			continue
		}
		if err := syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_DEL, int(fd), nil); err != nil {
			s.b.Fatal(err)
		}
	}
}
