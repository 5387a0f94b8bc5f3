package bridge_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A link is one MQTT connection.
type link struct {
	testing.TB
	net.Conn
	version byte
	in      *bufio.Reader
	dice    *rand.Rand          // of read
	acks    chan packets.Packet // the answer to the one request
	ended   chan struct{}       // closed when nothing is read any more

	// Guarded by the history.
	calm     bool // it is not to vanish any more
	vanished bool // it was closed without a word
}

func dialLink(w *world, version byte, seed uint64) *link {
	conn, err := net.Dial("tcp", w.mqtt)
	if err != nil {
		w.Fatal(err)
	}
	return &link{TB: w.TB, Conn: conn, version: version, in: bufio.NewReader(conn),
		dice: rand.New(rand.NewPCG(seed, 0)), acks: make(chan packets.Packet, 1), ended: make(chan struct{})}
}

func (l *link) isOver() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// connect sends CONNECT and reads the answer.
func (l *link) connect(pk packets.Packet) (packets.Packet, error) {
	l.send(pk)
	return l.next()
}

// read hands on what comes until the connection ends or take says so.
func (l *link) read(take func(*link, packets.Packet) bool) {
	defer close(l.ended)
	defer l.Close()
	for {
		pk, err := l.next()
		if err != nil || !take(l, pk) {
			return
		}
	}
}

// send sends a packet. That the connection has ended is for read to find.
func (l *link) send(pk packets.Packet) {
	pk.ProtocolVersion = l.version
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Puback: pk.PubackEncode,
		packets.Pubrec: pk.PubrecEncode, packets.Pubrel: pk.PubrelEncode, packets.Pubcomp: pk.PubcompEncode,
		packets.Subscribe: pk.SubscribeEncode, packets.Unsubscribe: pk.UnsubscribeEncode,
		packets.Disconnect: pk.DisconnectEncode,
	}[pk.FixedHeader.Type]
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		l.Error(err)
	}
	l.Write(b.Bytes())
}

func (l *link) ack(kind byte, id uint16) {
	l.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id})
}

// next reads a packet.
func (l *link) next() (packets.Packet, error) {
	pk := packets.Packet{ProtocolVersion: l.version}
	first, err := l.in.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(l.in)
	if err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining = n
	body := make([]byte, n)
	if _, err := io.ReadFull(l.in, body); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp:
		err = pk.PubackDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Unsuback:
		err = pk.UnsubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	}
	return pk, err
}
