package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// patience bounds every wait: running out of it is a failure, and nothing is
// ever proven by it.
const patience = 10 * time.Second

// A broker is a core with this edge, open on a port of its own.
type broker struct {
	core   *core.Broker
	server *Server
	addr   string
	dialer func(address string) (net.Conn, error) // nil: TCP
}

// start runs a broker until the test ends, when nobody may be left.
func start(t testing.TB, change func(*core.Options, *Options)) *broker {
	t.Helper()
	return startOn(t, ListenerConfig{}, change)
}

// startOn is start with another port than one of TCP.
func startOn(t testing.TB, port ListenerConfig, change func(*core.Options, *Options)) *broker {
	t.Helper()
	co, o := core.DefaultOptions(), DefaultOptions()
	if change != nil {
		change(&co, &o)
	}
	b := &broker{core: core.New(co)}
	b.server = New(b.core, o)
	port.Name, port.Address = "test", "127.0.0.1:0"
	addr, err := b.server.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = addr.String()
	served := make(chan struct{})
	go func() { b.server.Serve(context.Background()); close(served) }()
	t.Cleanup(func() {
		b.close(t)
		<-served
		if n := b.server.Stats().Panics; n != 0 {
			t.Errorf("%d packets have brought the decoder down", n)
		}
	})
	return b
}

func (b *broker) close(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.server.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A peer is a client that says what a test has it say.
type peer struct {
	t testing.TB
	net.Conn
	in      *bufio.Reader
	version byte
}

// dial opens a connection and says nothing.
func (b *broker) dial(t testing.TB) *peer {
	t.Helper()
	dial := b.dialer
	if dial == nil {
		dial = dialTCP
	}
	c, err := dial(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, c)
}

// newPeer makes a client of a connection.
func newPeer(t testing.TB, c net.Conn) *peer {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &peer{t: t, Conn: c, in: bufio.NewReader(c)}
}

func dialTCP(address string) (net.Conn, error) { return net.Dial("tcp", address) }

// connect makes a client with a clean session, unless change says otherwise.
func (b *broker) connect(t testing.TB, version byte, id string, change func(*packets.Packet)) *peer {
	t.Helper()
	p, ack := b.tryConnect(t, version, id, change)
	if ack.ReasonCode != 0 {
		t.Fatalf("%s: CONNACK 0x%02x", id, ack.ReasonCode)
	}
	return p
}

func (b *broker) tryConnect(t testing.TB, version byte, id string, change func(*packets.Packet)) (*peer, packets.Packet) {
	t.Helper()
	p := b.dial(t)
	p.version = version
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: id, Clean: true, Keepalive: 60},
	}
	if change != nil {
		change(&pk)
	}
	p.send(pk)
	return p, p.expect(packets.Connack)
}

// kept asks for a session that stays.
func kept(pk *packets.Packet) {
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval = 3600
	pk.Properties.SessionExpiryIntervalFlag = true
}

// send sends a packet. That the broker has hung up is for the reader to find.
func (p *peer) send(pk packets.Packet) {
	p.t.Helper()
	p.Write(p.encode(pk))
}

func (p *peer) encode(pk packets.Packet) []byte {
	p.t.Helper()
	pk.ProtocolVersion = p.version
	pk.Mods.AllowResponseInfo = true
	encode := map[byte]func(*bytes.Buffer) error{
		packets.Connect: pk.ConnectEncode, packets.Publish: pk.PublishEncode, packets.Puback: pk.PubackEncode,
		packets.Pubrec: pk.PubrecEncode, packets.Pubrel: pk.PubrelEncode, packets.Pubcomp: pk.PubcompEncode,
		packets.Subscribe: pk.SubscribeEncode, packets.Unsubscribe: pk.UnsubscribeEncode,
		packets.Pingreq: pk.PingreqEncode, packets.Disconnect: pk.DisconnectEncode,
	}[pk.FixedHeader.Type]
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		p.t.Fatal(err)
	}
	return b.Bytes()
}

// raw sends octets in hex; blanks and bars are for the eye.
func (p *peer) raw(octets string) {
	p.t.Helper()
	p.Write(unhex(p.t, octets))
}

// unhex reads octets in hex, with blanks and bars between fields.
func unhex(t testing.TB, octets string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(octets))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// next returns the next packet, or an error when there are no more.
func (p *peer) next() (packets.Packet, error) {
	var pk packets.Packet
	first, err := p.in.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	n, _, err := packets.DecodeLength(p.in)
	if err != nil {
		return pk, err
	}
	pk.FixedHeader.Remaining, pk.ProtocolVersion = n, p.version
	body := make([]byte, n)
	if _, err := io.ReadFull(p.in, body); err != nil {
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

// expect returns the next packet, which is to be of type t.
func (p *peer) expect(t byte) packets.Packet {
	p.t.Helper()
	pk, err := p.next()
	if err != nil || pk.FixedHeader.Type != t {
		p.t.Fatalf("got %s %q, %v; want %s", packets.PacketNames[pk.FixedHeader.Type], pk.Payload, err, packets.PacketNames[t])
	}
	return pk
}

// expectMessage returns the next packet, which is to be a PUBLISH as told, in
// the form "topic payload qos id", with "retain" and "dup" if set.
func (p *peer) expectMessage(want string) packets.Packet {
	p.t.Helper()
	pk := p.expect(packets.Publish)
	got := fmt.Sprintf("%s %s %d %d", pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.PacketID)
	if pk.FixedHeader.Retain {
		got += " retain"
	}
	if pk.FixedHeader.Dup {
		got += " dup"
	}
	if got != want {
		p.t.Fatalf("got the message %q, want %q", got, want)
	}
	return pk
}

// expectEnd reads until the broker hangs up, does so too, and returns the
// reason of its DISCONNECT, or zero if it says nothing. Anything else is an
// error.
func (p *peer) expectEnd() byte {
	p.t.Helper()
	defer p.Close()
	pk, err := p.next()
	if err != nil {
		p.mustBeOver(err)
		return 0
	}
	if pk.FixedHeader.Type != packets.Disconnect {
		p.t.Fatalf("got %s, want the end", packets.PacketNames[pk.FixedHeader.Type])
	}
	_, err = p.next()
	p.mustBeOver(err)
	return pk.ReasonCode
}

func (p *peer) mustBeOver(err error) {
	p.t.Helper()
	if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
		p.t.Fatalf("the connection is still open: %v", err)
	}
}

func (p *peer) publish(topic, payload string, qos byte, id uint16) {
	p.t.Helper()
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic, Payload: []byte(payload), PacketID: id,
	})
}

func (p *peer) ack(kind byte, id uint16) {
	p.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id}
	if kind == packets.Pubrel {
		pk.FixedHeader.Qos = 1
	}
	p.send(pk)
}

// subscribe subscribes at the QoS of each filter and returns the answer.
func (p *peer) subscribe(qos byte, filters ...string) []byte {
	p.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 77}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: qos})
	}
	p.send(pk)
	return p.expect(packets.Suback).ReasonCodes
}

func (p *peer) disconnect() {
	p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	p.expectEnd()
}

// ping is answered behind all that the client has sent before.
func (p *peer) ping() {
	p.t.Helper()
	p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	p.expect(packets.Pingresp)
}

// canary sees a message of its own come round: others are served as ever.
func (b *broker) canary(t testing.TB) {
	t.Helper()
	p := b.connect(t, 4, "canary", nil)
	p.subscribe(0, "canary")
	p.publish("canary", "tweet", 0, 0)
	p.expectMessage("canary tweet 0 0")
	p.disconnect()
}

// await waits until done is true, looking again and again.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	look, out := time.NewTicker(time.Millisecond), time.After(patience)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-out:
			t.Fatalf("in vain: %s", what)
		}
	}
}
