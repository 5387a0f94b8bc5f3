package mqttsn

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"
)

// TestPackets covers what the golden vectors lack, in the same three
// directions.
func TestPackets(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire string // header | fields, in the order of the specification's figure
		want Packet
	}{
		{"longest sleep", "04 18 | ffff", &Disconnect{Duration: 65535 * time.Second}},
		{"shortest sleep", "04 18 | 0001", &Disconnect{Duration: time.Second}},
		{"will retained at QoS 2", "04 07 | 50 | 77", &Willtopic{QoS: 2, Retain: true, Topic: []byte("w")}},
		{"empty will message update", "02 1c", &Willmsgupd{}},
		{"subscribe with QoS bits 0b11", "06 12 | 60 | 0001 | 61",
			&Subscribe{QoS: QoSMinusOne, ID: 1, Topic: Topic{Kind: TopicName, Name: []byte("a")}}},
		{"unsubscribe a short name", "07 14 | 02 | 0001 | 5431",
			&Unsubscribe{ID: 1, Topic: Topic{Kind: TopicShort, ID: 0x5431}}},
		{"publish QoS -1 by name, no data", "08 0c | 70 | 0001 | 0000 | 61",
			&Publish{QoS: QoSMinusOne, Retain: true, Topic: Topic{Kind: TopicName, Name: []byte("a")}}},
		{"publish QoS 0 with a MsgId", "07 0c | 00 | 0007 | 0005",
			&Publish{Topic: Topic{ID: 7}, ID: 5}},
		{"EMQX's not authorized", "03 05 | 80", &Connack{Reason: 0x80}},
		{"wake up of one octet", "03 16 | 7a", &Pingreq{ClientID: []byte("z")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(V12, wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Decode(%x) = %v, %v; want %v", wire, got, err, tt.want)
			}
			b, err := Append(nil, V12, tt.want)
			if err != nil || !bytes.Equal(b, wire) {
				t.Errorf("Append(%v) = %x, %v; want %x", tt.want, b, err, wire)
			}
			noPrefixDecodes(t, wire)
		})
	}
}

// TestLenient is what INTERPRETATION.md says we read though we would not
// write it.
func TestLenient(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire string
		want Packet
	}{
		{"unused flags of CONNECT", "07 04 | f7 | 01 | 003c | 7a",
			&Connect{CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("z")}},
		{"unused flags of PUBLISH", "07 0c | 0c | 0007 | 0000", &Publish{Topic: Topic{ID: 7}}},
		{"unused flags of SUBSCRIBE", "06 12 | 3c | 0001 | 61",
			&Subscribe{QoS: 1, ID: 1, Topic: Topic{Kind: TopicName, Name: []byte("a")}}},
		{"unused flags of SUBACK", "08 13 | bf | 0007 | 0001 | 00", &Suback{QoS: 1, TopicID: 7, ID: 1}},
		{"unused flags of UNSUBSCRIBE", "06 14 | fc | 0001 | 61",
			&Unsubscribe{ID: 1, Topic: Topic{Kind: TopicName, Name: []byte("a")}}},
		{"unused flags of WILLTOPIC", "04 07 | af | 77", &Willtopic{QoS: 1, Topic: []byte("w")}},
		{"will update with flags but no topic", "03 1a | 30", &Willtopicupd{}},
		{"will with flags but no topic", "03 07 | 30", &Willtopic{}},
	} {
		got, err := Decode(V12, unhex(t, tt.wire))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: Decode(%s) = %v, %v; want %v", tt.name, tt.wire, got, err, tt.want)
		}
		// What we make of it again has none of the oddity.
		b, err := Append(nil, V12, tt.want)
		if err != nil || bytes.Equal(b, unhex(t, tt.wire)) {
			t.Errorf("%s: Append(%v) = %x, %v; want other octets than were read", tt.name, tt.want, b, err)
		}
	}
}

// TestReservedTopicKind: TopicIdType 0b11 decodes, so that it can be refused
// with the right message id, and is never written.
func TestReservedTopicKind(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want Packet
	}{
		{"08 0c | 23 | 0007 | 0005 | 41",
			&Publish{QoS: 1, Topic: Topic{Kind: TopicReserved, ID: 7}, ID: 5, Payload: []byte("A")}},
		{"08 0c | 63 | 0007 | 0000 | 41",
			&Publish{QoS: QoSMinusOne, Topic: Topic{Kind: TopicReserved, ID: 7}, Payload: []byte("A")}},
		{"07 12 | 23 | 0001 | 0007", &Subscribe{QoS: 1, ID: 1, Topic: Topic{Kind: TopicReserved, ID: 7}}},
		{"09 12 | 03 | 0001 | 61622f63", &Subscribe{ID: 1, Topic: Topic{Kind: TopicReserved, ID: 0x6162}}},
		{"07 14 | 03 | 0001 | 0007", &Unsubscribe{ID: 1, Topic: Topic{Kind: TopicReserved, ID: 7}}},
	} {
		got, err := Decode(V12, unhex(t, tt.wire))
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Decode(%s) = %v, %v; want %v", tt.wire, got, err, tt.want)
		}
		if b, err := Append(nil, V12, tt.want); !errors.Is(err, ErrValue) {
			t.Errorf("Append(%v) = %x, %v; want ErrValue", tt.want, b, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want error
		text string
	}{
		{"", ErrTruncated, "mqttsn 1.2: truncated"},
		{"01", ErrTruncated, "mqttsn 1.2: truncated"},
		{"01 0003", ErrTruncated, "mqttsn 1.2: truncated"},
		{"01 0002 16", ErrLength, "mqttsn 1.2: length field disagrees with datagram"},
		{"00 16", ErrLength, "mqttsn 1.2: length field disagrees with datagram"},
		{"01 0100 16", ErrLength, "mqttsn 1.2: length field disagrees with datagram"},
		{"02 03", ErrType, "mqttsn 1.2: unknown packet type"},
		{"02 19", ErrType, "mqttsn 1.2: unknown packet type"},
		{"02 1e", ErrType, "mqttsn 1.2: unknown packet type"},
		{"02 ff", ErrType, "mqttsn 1.2: unknown packet type"},
		{"05 fe 00 12 34", ErrType, "mqttsn 1.2: unknown packet type"},
		{"03 17 | 00", ErrLength, "mqttsn 1.2 PINGRESP: length field disagrees with datagram"},
		{"05 18 | 0001 00", ErrLength, "mqttsn 1.2 DISCONNECT: length field disagrees with datagram"},
		{"02 05", ErrTruncated, "mqttsn 1.2 CONNACK ReturnCode: truncated"},
		{"04 05 | 00 00", ErrLength, "mqttsn 1.2 CONNACK: length field disagrees with datagram"},
		{"04 1d | 00 00", ErrLength, "mqttsn 1.2 WILLMSGRESP: length field disagrees with datagram"},
		{"05 1b | 00 00 00", ErrLength, "mqttsn 1.2 WILLTOPICRESP: length field disagrees with datagram"},
		{"05 04 | 04 | 01 | 00", ErrTruncated, "mqttsn 1.2 CONNECT Duration: truncated"},
		{"06 0a | 0000 | 0001", ErrTruncated, "mqttsn 1.2 REGISTER TopicName: truncated"},
		{"06 12 | 01 | 0001 | 00", ErrTruncated, "mqttsn 1.2 SUBSCRIBE TopicId: truncated"},
		{"06 12 | 03 | 0001 | 00", ErrTruncated, "mqttsn 1.2 SUBSCRIBE TopicId: truncated"},
		{"08 12 | 02 | 0001 | 616263", ErrLength, "mqttsn 1.2 SUBSCRIBE: length field disagrees with datagram"},
		{"05 14 | 00 | 0001", ErrTruncated, "mqttsn 1.2 UNSUBSCRIBE TopicName: truncated"},
		{"08 0c | 60 | 0000 | 0000 | 61", ErrTruncated, "mqttsn 1.2 PUBLISH TopicName: truncated"},
		{"08 0c | 60 | 0002 | 0000 | 61", ErrTruncated, "mqttsn 1.2 PUBLISH TopicName: truncated"},
	} {
		p, err := Decode(V12, unhex(t, tt.wire))
		if pe := (*PacketError)(nil); !errors.As(err, &pe) || !errors.Is(err, tt.want) || err.Error() != tt.text {
			t.Errorf("Decode(%s) = %v, %q; want %q", tt.wire, p, err, tt.text)
		}
	}
}

func TestEnvelopeMalformed(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want error
		text string
	}{
		{"03 fe 00 | 02 16", ErrTruncated, "mqttsn 1.2 WirelessNodeId: truncated"},
		{"02 fe | 02 16", ErrLength, "mqttsn 1.2 Length: length field disagrees with datagram"},
		{"00 fe | 02 16", ErrLength, "mqttsn 1.2 Length: length field disagrees with datagram"},
		{"09 fe 00 12 34 | 02 16", ErrTruncated, "mqttsn 1.2 WirelessNodeId: truncated"},
		{"02 fe", ErrLength, "mqttsn 1.2 Length: length field disagrees with datagram"},
		{"05 fe 04 12 34 | 02 16", ErrReserved, "mqttsn 1.2 Ctrl: reserved bits set"},
		{"05 fe 00 12 34", ErrTruncated, "mqttsn 1.2 Message: truncated"},
		{"05 fe 00 12 34 | 04 fe 00 56 | 02 16", ErrValue, "mqttsn 1.2 Message: value not allowed"},
		{"02 16", ErrType, "mqttsn 1.2: unknown packet type"},
		{"01 fe05 16", ErrType, "mqttsn 1.2: unknown packet type"}, // a long header
	} {
		e, inner, err := Unwrap(V12, unhex(t, tt.wire))
		if !errors.Is(err, tt.want) || err.Error() != tt.text || inner != nil || e.Node != nil {
			t.Errorf("Unwrap(%s) = %v, %x, %q; want %q", tt.wire, e, inner, err, tt.text)
		}
	}
}

func TestWrapRefuses(t *testing.T) {
	for _, e := range []Envelope{
		{},
		{Node: make([]byte, 253)},
		{Radius: 4, Node: []byte{1}},
	} {
		b, err := Wrap([]byte("before"), V12, e)
		if pe := (*PacketError)(nil); !errors.As(err, &pe) || string(b) != "before" {
			t.Errorf("Wrap(%v) = %q, %v; want it refused and dst unchanged", e, b, err)
		}
	}
	b, err := Wrap(nil, V12, Envelope{Node: make([]byte, 252)})
	if err != nil || len(b) != 255 || b[0] != 255 {
		t.Errorf("Wrap of the longest node id: %d octets, %v; want 255", len(b), err)
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, tt := range []struct {
		p    Packet
		text string
	}{
		{&Connect{KeepAlive: 1500 * time.Millisecond}, "mqttsn 1.2 CONNECT Duration: value not allowed"},
		{&Connect{KeepAlive: 65536 * time.Second}, "mqttsn 1.2 CONNECT Duration: value not allowed"},
		{&Disconnect{Duration: -time.Second}, "mqttsn 1.2 DISCONNECT Duration: value not allowed"},
		{&Disconnect{Duration: time.Nanosecond}, "mqttsn 1.2 DISCONNECT Duration: value not allowed"},
		{&Advertise{Duration: 65536 * time.Second}, "mqttsn 1.2 ADVERTISE Duration: value not allowed"},
		{&Publish{QoS: 3}, "mqttsn 1.2 PUBLISH QoS: value not allowed"},
		{&Publish{QoS: -2}, "mqttsn 1.2 PUBLISH QoS: value not allowed"},
		{&Publish{QoS: QoSMinusOne}, "mqttsn 1.2 PUBLISH TopicIdType: value not allowed"},
		{&Publish{Topic: Topic{Kind: TopicName, Name: []byte("a")}}, "mqttsn 1.2 PUBLISH TopicIdType: value not allowed"},
		{&Publish{Topic: Topic{Kind: 99}}, "mqttsn 1.2 PUBLISH TopicIdType: value not allowed"},
		{&Publish{QoS: QoSMinusOne, Topic: Topic{Kind: TopicName}}, "mqttsn 1.2 PUBLISH TopicName: value not allowed"},
		{&Publish{QoS: QoSMinusOne, Topic: Topic{Kind: TopicName, Name: make([]byte, 65536)}},
			"mqttsn 1.2 PUBLISH TopicName: value not allowed"},
		{&Publish{Payload: make([]byte, 65535-9+1)}, "mqttsn 1.2 PUBLISH Length: value not allowed"},
		{&Register{}, "mqttsn 1.2 REGISTER TopicName: value not allowed"},
		{&Subscribe{Topic: Topic{Kind: TopicName}}, "mqttsn 1.2 SUBSCRIBE TopicName: value not allowed"},
		{&Subscribe{Topic: Topic{ID: 7}}, "mqttsn 1.2 SUBSCRIBE TopicIdType: value not allowed"},
		{&Unsubscribe{Topic: Topic{ID: 7}}, "mqttsn 1.2 UNSUBSCRIBE TopicIdType: value not allowed"},
		{&Willtopic{QoS: 3, Topic: []byte("w")}, "mqttsn 1.2 WILLTOPIC QoS: value not allowed"},
		{&Willmsg{Payload: make([]byte, 65535)}, "mqttsn 1.2 WILLMSG Length: value not allowed"},
	} {
		dst := append(make([]byte, 0, 100), "before"...)
		b, err := Append(dst, V12, tt.p)
		if pe := (*PacketError)(nil); !errors.As(err, &pe) || err.Error() != tt.text || string(b) != "before" {
			t.Errorf("Append: dst %q, error %v; want %q and dst unchanged", b, err, tt.text)
		}
	}
}

func TestUnknownVersion(t *testing.T) {
	for _, v := range []Version{0, 2, 255} {
		if p, err := Decode(v, []byte{2, 0x16}); !errors.Is(err, ErrVersion) {
			t.Errorf("Decode of version %d = %v, %v; want ErrVersion", v, p, err)
		}
		if b, err := Append([]byte{9}, v, &Pingreq{}); !errors.Is(err, ErrVersion) || !bytes.Equal(b, []byte{9}) {
			t.Errorf("Append in version %d = %x, %v; want ErrVersion", v, b, err)
		}
		envelope := []byte{4, 0xfe, 0, 1, 2, 0x16}
		if Encapsulated(v, envelope) {
			t.Errorf("version %d has no envelope", v)
		}
		if _, _, err := Unwrap(v, envelope); !errors.Is(err, ErrVersion) {
			t.Errorf("Unwrap of version %d: %v; want ErrVersion", v, err)
		}
		if _, err := Wrap(nil, v, Envelope{Node: []byte{1}}); !errors.Is(err, ErrVersion) {
			t.Errorf("Wrap in version %d: %v; want ErrVersion", v, err)
		}
	}
}

// TestHeaderForms walks over the border between the two forms of header, and
// to the longest packet there is.
func TestHeaderForms(t *testing.T) {
	for _, tt := range []struct {
		data, total int
		header      string
	}{
		{0, 7, "07 0c"},
		{247, 254, "fe 0c"},
		{248, 255, "ff 0c"},
		{249, 258, "01 0102 0c"},
		{250, 259, "01 0103 0c"},
		{65535 - 9, 65535, "01 ffff 0c"},
	} {
		want := &Publish{Topic: Topic{ID: 1}}
		want.Payload = append(want.Payload, bytes.Repeat([]byte("x"), tt.data)...)
		b, err := Append([]byte("before"), V12, want)
		if err != nil {
			t.Fatalf("%d octets of data: %v", tt.data, err)
		}
		b, ok := bytes.CutPrefix(b, []byte("before"))
		if h := unhex(t, tt.header); !ok || len(b) != tt.total || !bytes.HasPrefix(b, h) {
			t.Errorf("%d octets of data: %d octets beginning %x; want %d beginning %x", tt.data, len(b), b[:4], tt.total, h)
		}
		if got, err := Decode(V12, b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d octets of data do not come back: %v", tt.data, err)
		}
	}
}

// TestLongHeaderOf255: the leniency towards Paho's miscounted 255 does not
// touch a long header that really is of 255 octets.
func TestLongHeaderOf255(t *testing.T) {
	short, err := Append(nil, V12, &Willmsg{Payload: bytes.Repeat([]byte("x"), 251)})
	if err != nil {
		t.Fatal(err)
	}
	long := otherHeader(short)
	if p, err := Decode(V12, long); len(long) != 255 || err != nil || len(p.(*Willmsg).Payload) != 251 {
		t.Errorf("Decode of %d octets: %v, %v", len(long), p, err)
	}
	for _, more := range []int{1, 3} {
		b := append(bytes.Clone(long), make([]byte, more)...)
		if p, err := Decode(V12, b); !errors.Is(err, ErrLength) {
			t.Errorf("Decode of %d octets that say 255: %v, %v; want ErrLength", len(b), p, err)
		}
	}
}

// TestDecoderForgets: a Decoder hands out the same packet again, and nothing
// of the one before is left in it.
func TestDecoderForgets(t *testing.T) {
	for _, tt := range []struct {
		before, wire string
		want         Packet
	}{
		{"0b 0c | f0 | 0003 | 0005 | 612f62 | 39", "07 0c | 00 | 0001 | 0000", &Publish{Topic: Topic{ID: 1}}},
		{"04 18 | 0001", "02 18", &Disconnect{}},
		{"04 07 | 30 | 77", "02 07", &Willtopic{}},
	} {
		var d Decoder
		if _, err := d.Decode(V12, unhex(t, tt.before)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Decode(V12, unhex(t, tt.wire)); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("after %s, %s decodes to %v, %v; want %v", tt.before, tt.wire, got, err, tt.want)
		}
		if p, err := d.Decode(V12, nil); err == nil || p != nil {
			t.Errorf("got %v, %v; want an error and no packet", p, err)
		}
	}
}

// TestSlicesDoNotReachOn: growing a slice of a decoded packet must not write
// into the datagram's next field.
func TestSlicesDoNotReachOn(t *testing.T) {
	wire := unhex(t, "0b 0c | 60 | 0003 | 0000 | 612f62 | 39")
	p, err := Decode(V12, wire)
	if err != nil {
		t.Fatal(err)
	}
	name := p.(*Publish).Topic.Name
	_ = append(name, 'X')
	if got := p.(*Publish).Payload; string(got) != "9" {
		t.Errorf("payload is %q after the name has grown; want %q", got, "9")
	}
}
