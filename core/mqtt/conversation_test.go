package mqtt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// An author writes what clients might say: packets nearly as they should be,
// with fields, properties and flags as the dice fall.
type author struct{ *rand.Rand }

// seldom is true once in n times.
func (a author) seldom(n int) bool { return a.IntN(n) == 0 }

func (a author) text() []byte {
	texts := []string{
		"", "a", "long/1", "long/1", "long/2", "long/3", "long/4", "////////", "#", "long/+", "$share/g/long/#",
		"forbidden", "forbidden", "$SYS/x", "é", "a\tb", "\x00", "\xff",
	}
	return []byte(texts[a.IntN(len(texts))])
}

// field is a text behind its length, which may be wrong.
func (a author) field() []byte {
	s := a.text()
	n := len(s)
	if a.seldom(60) {
		n = []int{n - 1, n + 1, 65535}[a.IntN(3)]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(n)), s...)
}

// measured puts the length of b before it, which may be wrong.
func (a author) measured(b []byte) []byte {
	n := len(b)
	if a.seldom(80) {
		n = max(0, n+a.IntN(5)-2)
	}
	return append(binary.AppendUvarint(nil, uint64(n)), b...)
}

// properties has up to two of ids, or of any other id.
func (a author) properties(ids ...byte) []byte {
	var b []byte
	for range a.IntN(3) {
		id := ids[a.IntN(len(ids))]
		if a.seldom(40) {
			id = byte(a.IntN(256))
		}
		b = append(b, id)
		switch id {
		case packets.PropPayloadFormat, packets.PropRequestProblemInfo, packets.PropRequestResponseInfo:
			b = append(b, byte(a.IntN(2)))
		case packets.PropReceiveMaximum, packets.PropTopicAliasMaximum, packets.PropTopicAlias:
			b = binary.BigEndian.AppendUint16(b, uint16(a.IntN(5)))
		case packets.PropMessageExpiryInterval, packets.PropSessionExpiryInterval, packets.PropWillDelayInterval, packets.PropMaximumPacketSize:
			b = binary.BigEndian.AppendUint32(b, []uint32{0, 20, 60, 1 << 31, 1<<32 - 1}[a.IntN(5)])
		case packets.PropSubscriptionIdentifier:
			b = binary.AppendUvarint(b, uint64(a.IntN(1<<28)))
		case packets.PropUser:
			b = append(append(b, a.field()...), a.field()...)
		default:
			b = append(b, a.field()...)
		}
	}
	return a.measured(b)
}

func (a author) connect(version byte) []byte {
	name := protocolName(version)
	flags := []byte{0, 2, 2, 2, 0x06, 0x0e, 0x26, 0xc2}[a.IntN(8)]
	b := append([]byte{0, byte(len(name))}, name...)
	b = append(b, version, flags, 0, 60)
	if version == 5 {
		b = append(b, a.properties(packets.PropSessionExpiryInterval, packets.PropReceiveMaximum, packets.PropMaximumPacketSize,
			packets.PropTopicAliasMaximum, packets.PropTopicAliasMaximum, packets.PropRequestProblemInfo, packets.PropRequestProblemInfo, packets.PropUser)...)
	}
	b = append(b, 0, 2, 'c', byte('0'+a.IntN(4)))
	if flags&0x04 != 0 {
		if version == 5 {
			b = append(b, a.properties(packets.PropWillDelayInterval, packets.PropPayloadFormat, packets.PropContentType, packets.PropUser)...)
		}
		b = append(append(b, a.field()...), a.field()...)
	}
	if flags&0x80 != 0 {
		b = append(append(b, a.field()...), a.field()...)
	}
	return append([]byte{packets.Connect << 4}, a.measured(b)...)
}

// packet is one to follow CONNECT, but no PINGREQ.
func (a author) packet(version byte) []byte {
	kinds := []byte{
		packets.Publish, packets.Publish, packets.Publish, packets.Publish, packets.Subscribe, packets.Subscribe, packets.Unsubscribe,
		packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp,
	}
	kind, flags := kinds[a.IntN(len(kinds))], byte(0)
	if a.seldom(40) {
		kind = []byte{packets.Connect, packets.Connack, packets.Suback, packets.Disconnect, packets.Auth}[a.IntN(5)]
	}
	id := []byte{0, byte(a.IntN(6))}
	var b []byte
	switch kind {
	case packets.Publish:
		flags = byte(a.IntN(3)<<1 | a.IntN(2))
		b = a.field()
		if flags > 1 {
			b = append(b, id...)
		}
		if version == 5 {
			b = append(b, a.properties(packets.PropPayloadFormat, packets.PropMessageExpiryInterval, packets.PropContentType,
				packets.PropResponseTopic, packets.PropCorrelationData, packets.PropTopicAlias, packets.PropUser)...)
		}
		b = append(b, a.text()...)
	case packets.Subscribe, packets.Unsubscribe:
		flags, b = 2, id
		if version == 5 {
			b = append(b, a.properties(packets.PropSubscriptionIdentifier, packets.PropUser)...)
		}
		for range 1 + a.IntN(4) {
			b = append(b, a.field()...)
			if kind == packets.Subscribe {
				b = append(b, byte(a.IntN(3)))
			}
		}
	default:
		if kind == packets.Pubrel {
			flags = 2
		}
		b = id
		if version == 5 && a.seldom(3) {
			b = append(b, byte(a.IntN(256)))
			b = append(b, a.properties(packets.PropReasonString, packets.PropUser)...)
		}
	}
	if a.seldom(60) {
		flags = byte(a.IntN(16))
	}
	return append([]byte{kind<<4 | flags}, a.measured(b)...)
}

// A talk is a line whose client stays until its PINGREQ is answered or it is
// shown the door, and remembers what it heard.
type talk struct {
	line
	mu    sync.Mutex
	heard bytes.Buffer
	over  func()
	ended chan struct{}
}

func (k *talk) Read(p []byte) (int, error) {
	n, err := k.line.Read(p)
	if err == io.EOF {
		<-k.ended
	}
	return n, err
}

func (k *talk) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard.Write(p)
	if bytes.Contains(k.heard.Bytes(), []byte{packets.Pingresp << 4, 0}) {
		k.over()
	}
	return len(p), nil
}

func (k *talk) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		k.over()
	}
	return nil
}

// verify says what of heard, all that a client got, it may not be sent, since
// it asked otherwise in its CONNECT or because it is no MQTT.
func verify(asked *packets.Packet, aliases int, heard []byte) error {
	topics := make(map[uint16]string) // by their aliases
	p := &peer{version: asked.ProtocolVersion, in: bufio.NewReaderSize(bytes.NewReader(heard), max(16, len(heard)))}
	for {
		if _, err := p.in.Peek(1); err != nil {
			return nil // that was all
		}
		before := p.in.Buffered()
		pk, err := p.next()
		size, got, limits := before-p.in.Buffered(), &pk.Properties, &asked.Properties
		kind := pk.FixedHeader.Type
		explains := kind == packets.Connack || kind == packets.Disconnect
		switch {
		case err != nil:
			return err
		case !slices.Contains(toClients, kind) || kind == packets.Disconnect && (p.version != 5 || p.in.Buffered() > 0):
			return fmt.Errorf("%s out of place", packets.PacketNames[kind])
		case limits.MaximumPacketSize > 0 && size > int(limits.MaximumPacketSize):
			return fmt.Errorf("%s of %d octets", packets.PacketNames[kind], size)
		case got.ReasonString != "" && limits.RequestProblemInfoFlag && limits.RequestProblemInfo == 0 && !explains:
			return fmt.Errorf("%s with a reason", packets.PacketNames[kind])
		case kind != packets.Publish:
			continue
		case int(got.TopicAlias) > min(aliases, int(limits.TopicAliasMaximum)):
			return fmt.Errorf("topic alias %d", got.TopicAlias)
		case pk.TopicName != "":
			topics[got.TopicAlias] = pk.TopicName
		case got.TopicAlias == 0 || topics[got.TopicAlias] == "":
			return fmt.Errorf("a PUBLISH of no topic, alias %d", got.TopicAlias)
		}
	}
}

// toClients are the packets that a server sends.
var toClients = []byte{
	packets.Connack, packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp,
	packets.Suback, packets.Unsuback, packets.Pingresp, packets.Disconnect,
}

// FuzzConversations has clients of all versions say nearly sound packets, a few
// clients at once that take each other over: nothing panics, nobody stays, and
// each hears nothing but sound packets that it agreed to.
func FuzzConversations(f *testing.F) {
	for seed := range uint64(1000) {
		f.Add(seed)
	}
	co, o := core.DefaultOptions(), DefaultOptions()
	co.Authorize = func(_ core.Identity, a core.Access) bool { return a.Topic != "forbidden" }
	o.MaxPacketSize, o.TopicAliasMaximum = 1024, 3
	s := New(core.New(co), o)
	f.Fuzz(func(t *testing.T, seed uint64) {
		var clients sync.WaitGroup
		for n := range uint64(4) {
			a := author{rand.New(rand.NewPCG(seed, n))}
			version := byte(3 + a.IntN(3))
			said := a.connect(version)
			connect := said
			for range a.IntN(16) {
				said = append(said, a.packet(version)...)
			}
			// Of two PINGREQs the packet before them may take one for its own.
			k := &talk{line: line{bytes.NewReader(append(said, packets.Pingreq<<4, 0, packets.Pingreq<<4, 0))}, ended: make(chan struct{})}
			k.over = sync.OnceFunc(func() { close(k.ended) })
			clients.Go(func() {
				c := newConn(s, &listener{name: "fuzz"}, k)
				s.running.Add(1)
				c.serve()
				asked := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}}
				_, size, _ := length(connect[1:])
				asked.ConnectDecode(connect[1+size:])
				if err := verify(&asked, o.TopicAliasMaximum, k.heard.Bytes()); err != nil {
					t.Errorf("MQTT level %d: %v\nsaid  %x\nheard %x", version, err, said, k.heard.Bytes())
				}
			})
		}
		clients.Wait()
		if n := s.Stats().Panics; n != 0 {
			t.Fatal("the decoder has panicked")
		}
	})
}
