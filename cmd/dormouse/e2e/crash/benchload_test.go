package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dormouse/mqttsn"
	"dormouse/sim/udp"
)

// sensors are a load of MQTT-SN clients, each with an address of its own.
type sensors struct {
	net     *udp.Network
	next    []udp.Datagram // by sensor, what it sends next
	due     []udp.Datagram
	answers int
	heard   func([]udp.Datagram) // hear, made once
	err     error
}

func newSensors(b *testing.B, n int, address string) *sensors {
	b.Helper()
	network, err := udp.Open(udp.Config{Target: netip.MustParseAddrPort(address)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { network.Close() })
	if err := network.Attach(0, make([]udp.Mode, n)); err != nil {
		b.Fatal(err)
	}
	s := &sensors{net: network, next: make([]udp.Datagram, n)}
	var topics []uint16
	for i := range n {
		id := fmt.Sprint("bench-", i)
		s.ask(b, i, &mqttsn.Connect{ProtocolID: 1, KeepAlive: time.Hour, ClientID: []byte(id)})
		r, ok := s.ask(b, i, &mqttsn.Register{ID: 1, Name: []byte("bench/" + id)}).(*mqttsn.Regack)
		if !ok || r.Reason != mqttsn.Accepted {
			b.Fatalf("REGISTER is answered by %v", r)
		}
		topics = append(topics, r.TopicID)
	}
	for i, topic := range topics {
		s.next[i] = datagram(b, i, &mqttsn.Publish{QoS: 1, Retain: true, Topic: mqttsn.Topic{ID: topic}, ID: 1, Payload: reading})
	}
	s.due = append(s.due, s.next...)
	s.heard = s.hear
	return s
}

func datagram(b *testing.B, from int, p mqttsn.Packet) udp.Datagram {
	octets, err := mqttsn.Append(nil, mqttsn.V12, p)
	if err != nil {
		b.Fatal(err)
	}
	return udp.Datagram{Endpoint: int32(from), Buf: octets}
}

// ask sends a packet, and returns what the sensor then hears.
func (s *sensors) ask(b *testing.B, from int, p mqttsn.Packet) (answer mqttsn.Packet) {
	if err := s.net.Send(0, []udp.Datagram{datagram(b, from, p)}); err != nil {
		b.Fatal(err)
	}
	err := s.net.Receive(0, patience, func(batch []udp.Datagram) {
		var err error
		if answer, err = mqttsn.Decode(mqttsn.V12, batch[0].Buf); err != nil {
			b.Fatal(err)
		}
	})
	if err != nil || answer == nil {
		b.Fatalf("%T is not answered: %v", p, err)
	}
	return answer
}

func (s *sensors) turn() (int, error) {
	if err := s.net.Send(0, s.due); err != nil {
		return 0, err
	}
	s.due, s.answers = s.due[:0], 0
	if err := s.net.Receive(0, patience, s.heard); err != nil {
		return 0, err
	}
	if s.answers == 0 {
		return 0, errSilent
	}
	return s.answers, s.err
}

// hear takes PUBACK, which is of seven octets and ends in 0x00, and has the
// next PUBLISH be due, whose packet identifier comes before the payload.
func (s *sensors) hear(batch []udp.Datagram) {
	for _, d := range batch {
		next := s.next[d.Endpoint]
		at := len(next.Buf) - len(reading) - 2
		id := binary.BigEndian.Uint16(next.Buf[at:])
		if len(d.Buf) != 7 || d.Buf[1] != byte(mqttsn.TypePuback) || d.Buf[6] != 0 || binary.BigEndian.Uint16(d.Buf[4:]) != id {
			s.err = fmt.Errorf("PUBLISH %x is answered by %x", next.Buf, d.Buf)
			return
		}
		binary.BigEndian.PutUint16(next.Buf[at:], max(1, id+1))
		s.due = append(s.due, next)
		s.answers++
	}
}

// clients are a load of MQTT 3.1.1 clients, in one epoll.
type clients struct {
	epoll  int
	next   map[int32][]byte // by socket, the PUBLISH that it sends next
	due    []int32
	events []unix.EpollEvent
}

func newClients(b *testing.B, n int, address string) *clients {
	b.Helper()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	c := &clients{epoll: epoll, next: make(map[int32][]byte), events: make([]unix.EpollEvent, 256)}
	b.Cleanup(c.close)
	for i := range n {
		if err := c.dial(fmt.Sprint("bench-", i), address); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func (c *clients) dial(id, address string) error {
	to := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	topic := "bench/" + id
	body := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
	body = append(append(body, topic...), 0, 1)
	body = append(body, reading...)
	c.next[int32(fd)] = append([]byte{0x33, byte(len(body))}, body...) // QoS 1, RETAIN
	c.due = append(c.due, int32(fd))
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	connect := append([]byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, byte(len(id))}, id...)
	if _, err := unix.Write(fd, connect); err != nil {
		return err
	}
	connack := make([]byte, 5)
	if n, err := unix.Read(fd, connack); err != nil || string(connack[:n]) != "\x20\x02\x00\x00" {
		return fmt.Errorf("CONNECT is answered by %x, %v", connack[:max(n, 0)], err)
	}
	return unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (c *clients) turn() (int, error) {
	for _, fd := range c.due {
		if _, err := unix.Write(int(fd), c.next[fd]); err != nil {
			return 0, err
		}
	}
	c.due = c.due[:0]
	n, err := unix.EpollWait(c.epoll, c.events, int(patience.Milliseconds()))
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, errSilent
	}
	var puback [5]byte
	for _, e := range c.events[:n] {
		next := c.next[e.Fd]
		id := next[len(next)-len(reading)-2:][:2]
		got, err := unix.Read(int(e.Fd), puback[:])
		if err != nil || got != 4 || puback[0] != 0x40 || [2]byte(puback[2:]) != [2]byte(id) {
			return 0, fmt.Errorf("PUBLISH %x is answered by %x, %v", next, puback[:max(got, 0)], err)
		}
		binary.BigEndian.PutUint16(id, max(1, binary.BigEndian.Uint16(id)+1))
		c.due = append(c.due, e.Fd)
	}
	return n, nil
}

func (c *clients) close() {
	for fd := range c.next {
		unix.Close(int(fd))
	}
	unix.Close(c.epoll)
}
