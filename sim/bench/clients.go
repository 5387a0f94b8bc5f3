package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/sys/unix"
)

// silence is so long that no answer takes it.
const silence = 10 * time.Second

// clients are MQTT 3.1.1 clients that publish, subscribe and count, all in one
// goroutine on one epoll, to leave the machine to the broker. For the same
// reason what is sent over and over is encoded once, and of what comes no more
// is read than is to be known. Its methods do nothing once one of them has
// failed; err says why.
type clients struct {
	ctx    context.Context // they fail when it ends
	broker string          // its name, for errors
	at     netip.AddrPort
	err    error

	epoll  int
	byFD   map[int32]*client
	stuck  []*client // whose sockets have not taken all
	buf    []byte
	events []unix.EpollEvent

	keep      bool                 // their sessions are
	onMessage func(payload []byte) // of each PUBLISH that comes; nil: nothing
	received  int                  // PUBLISH packets
	other     int                  // packets of all other types
}

// A client is a socket and what is on its way.
type client struct {
	fd     int
	rest   []byte // of a packet that has not all come
	out    []byte // what the socket has not taken
	flying int    // publishes not acknowledged to the end
	id     uint16
}

func newClients(ctx context.Context, broker string, at netip.AddrPort) (*clients, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &clients{
		ctx: ctx, broker: broker, at: at, epoll: epoll,
		byFD:   make(map[int32]*client),
		buf:    make([]byte, 256<<10),
		events: make([]unix.EpollEvent, 256),
	}, nil
}

func (l *clients) close() {
	for fd := range l.byFD {
		unix.Close(int(fd))
	}
	unix.Close(l.epoll)
}

func (l *clients) fail(err error) {
	if l.err == nil {
		l.err = fmt.Errorf("MQTT clients of %s: %w", l.broker, err)
	}
}

// dial connects a client, and waits until the broker has let it in.
func (l *clients) dial(name string) *client {
	c := new(client)
	if l.err != nil {
		return c
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		c.fd = fd
		l.byFD[int32(fd)] = c
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(l.at.Port()), Addr: l.at.Addr().As4()})
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		l.fail(fmt.Errorf("%s connects: %w", name, err))
		return c
	}
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.ClientIdentifier = "MQTT", 4, !l.keep, name
	l.ask(c, p)
	return c
}

// subscribe subscribes c and waits for the answer.
func (l *clients) subscribe(c *client, filter string, qos byte) { l.ask(c, subscribe(filter, qos)) }

func subscribe(filter string, qos byte) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = 1, []string{filter}, []byte{qos}
	return p
}

// ask sends a packet and waits for the next that is not a PUBLISH.
func (l *clients) ask(c *client, p packets.ControlPacket) {
	before := l.other
	l.send(c, encoded(p))
	for since := time.Now(); l.other == before && l.err == nil; l.turn(100) {
		if time.Since(since) > silence {
			l.fail(fmt.Errorf("no answer to %v", p))
		}
	}
}

func encoded(p packets.ControlPacket) []byte {
	var b bytes.Buffer
	p.Write(&b) // to memory: it cannot fail
	return b.Bytes()
}

// A message is an encoded PUBLISH that is sent over and over, each time with
// another Packet Identifier.
type message struct {
	octets []byte
	qos    byte
	id     int // where the identifier is
}

func newMessage(topic string, qos byte, retain bool, payload []byte) message {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.Retain, p.Payload = topic, qos, retain, payload
	b := encoded(p)
	return message{b, qos, len(b) - len(payload) - 2}
}

// appendTo appends m as the next of c's.
func (m *message) appendTo(b []byte, c *client) []byte {
	b = append(b, m.octets...)
	if m.qos > 0 {
		c.id = max(1, c.id+1)
		c.flying++
		binary.BigEndian.PutUint16(b[len(b)-len(m.octets)+m.id:], c.id)
	}
	return b
}

// publish publishes one message of c's, once no more than window of them are
// under way.
func (l *clients) publish(c *client, m message, window int) {
	for since := time.Now(); l.err == nil && c.flying >= window; l.turn(100) {
		if time.Since(since) > silence {
			l.fail(errors.New("PUBLISH is not acknowledged"))
		}
	}
	l.send(c, m.appendTo(nil, c))
}

// land waits until all that c has published is acknowledged.
func (l *clients) land(c *client) {
	for since := time.Now(); l.err == nil && c.flying > 0; l.turn(100) {
		if time.Since(since) > silence {
			l.fail(errors.New("PUBLISH is not acknowledged"))
		}
	}
}

// send has a socket take what it can; the rest waits in out.
func (l *clients) send(c *client, octets []byte) {
	if l.err != nil {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, octets...)
		octets = c.out
	}
	n, err := unix.Write(c.fd, octets)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		l.fail(fmt.Errorf("the broker has hung up: %w", err))
	}
	c.out = append(c.out[:0], octets[max(n, 0):]...)
	if len(c.out) > 0 {
		l.stuck = append(l.stuck, c)
	}
}

// turn reads what there is, or comes within so many milliseconds, and answers
// it.
func (l *clients) turn(wait int) {
	if l.ctx.Err() != nil {
		l.fail(context.Cause(l.ctx))
	}
	if l.err != nil {
		return
	}
	n, err := unix.EpollWait(l.epoll, l.events, wait)
	if err != nil && !errors.Is(err, unix.EINTR) {
		l.fail(err)
	}
	for _, e := range l.events[:max(n, 0)] {
		if c := l.byFD[e.Fd]; c != nil {
			l.read(c)
		}
	}
	stuck := l.stuck
	l.stuck = nil
	for _, c := range stuck {
		l.send(c, nil)
	}
}

// read reads from one socket, once.
func (l *clients) read(c *client) {
	had := copy(l.buf, c.rest)
	n, err := unix.Read(c.fd, l.buf[had:])
	if errors.Is(err, unix.EAGAIN) || l.err != nil {
		return
	}
	if n <= 0 || err != nil {
		l.fail(fmt.Errorf("the broker has hung up: %w", err))
		return
	}
	in := l.buf[:had+n]
	var answers []byte
	for {
		// Remaining Length is the same as a Uvarint, MQTT 3.1.1 §2.2.3.
		remaining, size := binary.Uvarint(in[min(1, len(in)):])
		if size <= 0 || len(in) < 1+size+int(remaining) {
			break
		}
		packet := in[:1+size+int(remaining)]
		in = in[len(packet):]
		answers = l.take(c, packet[0], packet[1+size:], answers)
	}
	c.rest = append(c.rest[:0], in...)
	if len(answers) > 0 {
		l.send(c, answers)
	}
}

// take counts a packet and appends the answer.
func (l *clients) take(c *client, head byte, body, answers []byte) []byte {
	if head>>4 != packets.Publish {
		l.other++
	}
	switch head >> 4 {
	case packets.Publish:
		l.received++
		qos, rest := head>>1&3, body[2+binary.BigEndian.Uint16(body):]
		if qos > 0 {
			answers = append(answers, 0x30+qos<<4, 2, rest[0], rest[1]) // PUBACK, PUBREC
			rest = rest[2:]
		}
		if l.onMessage != nil {
			l.onMessage(rest)
		}
	case packets.Puback, packets.Pubcomp:
		c.flying--
	case packets.Pubrec:
		answers = append(answers, packets.Pubrel<<4|2, 2, body[0], body[1])
	case packets.Pubrel:
		answers = append(answers, packets.Pubcomp<<4, 2, body[0], body[1])
	}
	return answers
}
