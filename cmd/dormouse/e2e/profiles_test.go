package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"dormouse/mqttsn"
)

// Conversations with the peculiar clients of the field, as their sources have
// it (1.2 digest, section 12).

// TestEmcute: RIOT's emcute never answers REGISTER, repeats with DUP=0, knows
// no QoS 2, and is to be kept for all that.
func TestEmcute(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.retry.interval=1s", "mqttsn.retry.max=1")
	c := b.mqtt3(t, "client", nil)
	c.subscribe("up", 1)
	s := b.sensor("emcute")
	s.connect(true)
	s.subscribe("cmd/valve", 1)
	up := s.register("up")
	for range 2 { // the PUBACK was lost: the same again, DUP not set
		s.send(&mqttsn.Publish{QoS: 1, Topic: up, ID: 77, Payload: []byte("21.5")})
		expect[*mqttsn.Puback](s)
	}
	want(t, c.receive(), message{"up", "21.5", 1, false})

	s.subscribe("any/+", 1)
	c.publish("any/thing", "x", 1, false)
	c.publish("cmd/valve", "open", 1, false)
	registers := 0
	for len(s.mail) == 0 {
		switch p := s.hear("REGISTER or PUBLISH").(type) {
		case *mqttsn.Register:
			registers++ // and no answer
		default:
			s.accept(p)
		}
	}
	want(t, s.receive(), message{"cmd/valve", "open", 1, false})
	if registers == 0 {
		t.Error("a wildcard matched, and there was no REGISTER")
	}

	s.subscribe("cmd/twice", 2)
	c.publish("cmd/twice", "x", 2, false)
	p := expect[*mqttsn.Publish](s)
	s.send(&mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID, Reason: mqttsn.NotSupported})
	c.publish("cmd/valve", "shut", 1, false)
	want(t, s.receive(), message{"cmd/valve", "shut", 1, false})
}

// TestPahoLibrary: the C library writes a PUBLISH of 255 octets in 257 with a
// length that says 255, an empty WILLTOPIC with flags, and QoS -1 with the
// name in the packet.
func TestPahoLibrary(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("#", 1)
	s := b.sensor("paho")
	s.send(&mqttsn.Connect{Will: true, CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("paho")})
	expect[*mqttsn.Willtopicreq](s)
	s.sendOctets([]byte{0x03, 0x07, 0x00})
	s.wantConnack(mqttsn.Accepted)

	topic := s.register("up")
	payload := bytes.Repeat([]byte("A"), 248)
	s.sock.sendMalformed(fmt.Sprintf("0100ff 0c 00 %04x 0000 %x", topic.ID, payload))
	want(t, c.receive(), message{topic: "up", payload: string(payload)})

	stranger := b.sensor("stranger")
	stranger.sendOctets(unhex(t, "0b 0c 60 0003 0000 612f62 39"))
	want(t, c.receive(), message{topic: "a/b", payload: "9"})
	stranger.hearsNothing()
}

// TestZephyr: five publishes in flight at once, PUBACKs in order; any
// DISCONNECT, also the one that lets it sleep, makes it connect again.
func TestZephyr(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("up", 1)
	s := b.sensor("zephyr")
	s.connect(false)
	topic := s.register("up")
	for i := range uint16(5) {
		s.send(&mqttsn.Publish{QoS: 1, Topic: topic, ID: 10 + i, Payload: []byte{'0' + byte(i)}})
	}
	for i := range uint16(5) {
		if a := expect[*mqttsn.Puback](s); a.ID != 10+i || a.Reason != mqttsn.Accepted {
			t.Errorf("PUBACK %+v, want MsgId %d", a, 10+i)
		}
		want(t, c.receive(), message{"up", fmt.Sprint(i), 1, false})
	}
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	c.publish("cmd", "x", 1, false)
	s.connect(false)
	want(t, s.receive(), message{"cmd", "x", 1, false})
}

// TestClientIDsOfAnyLength: longer than the text's 23 octets is taken, empty
// is refused.
func TestClientIDsOfAnyLength(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, n := range []int{1, 23, 24, 64, 200} {
		s := b.sensor(strings.Repeat("i", n))
		s.connect(true)
		s.sleep(time.Hour)
		s.wake()
	}
	nameless := b.sensor("")
	nameless.send(&mqttsn.Connect{CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute})
	nameless.wantConnack(mqttsn.NotSupported)
	future := b.sensor("future")
	future.send(&mqttsn.Connect{CleanSession: true, ProtocolID: 2, KeepAlive: time.Minute, ClientID: []byte("future")})
	future.wantConnack(mqttsn.NotSupported)
}

// TestLongHeadersAreTakenAndNeverSent: a length of three octets where one
// would do is understood; the answers are minimal, for clients that read them
// at fixed offsets. So is a MsgId at QoS 0.
func TestLongHeadersAreTakenAndNeverSent(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.mqtt3(t, "client", nil)
	c.subscribe("T1", 1)
	s := b.sensor("long")
	s.sendOctets(unhex(t, "01000c 04 04 01 003c 6c6f6e67"))
	s.wantConnack(mqttsn.Accepted)
	s.sendOctets(unhex(t, "010004 16"))
	expect[*mqttsn.Pingresp](s)
	s.sendOctets(unhex(t, "01000a 0c 02 5431 0005 39"))
	want(t, c.receive(), message{topic: "T1", payload: "9"})
	s.sendOctets(unhex(t, "01000a 0c 22 5431 0006 39"))
	expect[*mqttsn.Puback](s)

	theWire.mu.Lock()
	defer theWire.mu.Unlock()
	for _, d := range theWire.datagrams {
		if !d.up && d.peer == addrOf(s.sock.conn) && d.buf[0] == 0x01 {
			t.Errorf("the broker sent %x with a long header", d.buf)
		}
	}
}

// TestDiscovery: SEARCHGW is answered, directly and through a forwarder.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	b := start(t, "mqttsn.gateway_id=7")
	forwarder := b.socket()
	for _, s := range []*sensor{b.sensor("direct"), forwarder.sensor(b, "node", "\x01\x02")} {
		s.send(&mqttsn.Searchgw{Radius: 1})
		if g := expect[*mqttsn.Gwinfo](s); g.GatewayID != 7 || len(g.Address) != 0 {
			t.Errorf("GWINFO %+v, want gateway 7 and no address", g)
		}
	}
}

// TestSearchByMulticast: a sensor that knows no address asks a group, and the
// gateway's own address answers it alone (A2).
func TestSearchByMulticast(t *testing.T) {
	t.Parallel()
	free := listenUDP(t)
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.18.86"), addrOf(free).Port())
	free.Close()
	b := start(t, "mqttsn.gateway_id=7", fmt.Sprintf("mqttsn.multicast={groups: [%q], port: %d, interfaces: [lo]}", group.Addr(), group.Port()))

	sensor := listenUDP(t)
	defer sensor.Close()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := ipv4.NewPacketConn(sensor).SetMulticastInterface(lo); err != nil {
		t.Fatal(err)
	}
	search, err := mqttsn.Append(nil, mqttsn.V12, &mqttsn.Searchgw{})
	if err != nil {
		t.Fatal(err)
	}
	theWire.record(addrOf(sensor), true, search)
	if _, err := sensor.WriteToUDPAddrPort(search, group); err != nil {
		t.Fatal(err)
	}
	sensor.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 1024)
	n, from, err := sensor.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	theWire.record(addrOf(sensor), false, buf[:n])
	if p, err := mqttsn.Decode(mqttsn.V12, buf[:n]); err != nil || fmt.Sprint(p) != "GWINFO GatewayID:7" || from != b.udp {
		t.Errorf("%v says %v, %v; want GWINFO of gateway 7 from %v", from, p, err, b.udp)
	}
}

// TestAdvertise: the gateway makes itself known as soon as it serves, and
// again.
func TestAdvertise(t *testing.T) {
	t.Parallel()
	ear := listenUDP(t)
	defer ear.Close()
	start(t, "mqttsn.gateway_id=7", "mqttsn.advertise={enabled: true, interval: 1s, addresses: [\""+addrOf(ear).String()+"\"]}")
	ear.SetDeadline(time.Now().Add(patience))
	for range 2 {
		buf := make([]byte, 1024)
		n, err := ear.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		theWire.record(addrOf(ear), false, buf[:n])
		p, err := mqttsn.Decode(mqttsn.V12, buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := p.(*mqttsn.Advertise); !ok || a.GatewayID != 7 || a.Duration != time.Second {
			t.Errorf("the gateway says %v, want ADVERTISE of gateway 7 each second", p)
		}
	}
}

// TestUnsubscribe: always answered; afterwards nothing comes.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := b.sensor("sensor")
	s.connect(true)
	s.subscribe("cmd", 1)
	s.subscribe("cmd/#", 1)
	for _, filter := range []string{"cmd", "cmd/#", "never/subscribed"} {
		id := s.nextMsgID()
		s.send(&mqttsn.Unsubscribe{ID: id, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(filter)}})
		if a := expect[*mqttsn.Unsuback](s); a.ID != id {
			t.Errorf("UNSUBACK %d, want %d", a.ID, id)
		}
	}
	b.publish(t, "cmd", "x", 1)
	s.hearsNothing()
}
