package mqttsn

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A vector is one line of testdata/vectors12.txt.
type vector struct {
	packet string // the packet's name, or "-"
	wire   []byte
	fields fields
	remark string
}

// vectors reads the section of testdata/vectors12.txt whose heading begins
// with section.
func vectors(t testing.TB, section string) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors12.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n## "+section))
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	var vs []vector
	for line := range strings.Lines(string(text)) {
		col := strings.SplitN(strings.TrimSpace(line), " | ", 4)
		if col[0] != "1.2" {
			continue
		}
		col = append(col, "")
		said, remark, hasFields := strings.Cut(col[3], " ; ")
		if !hasFields {
			said, remark = "", col[3]
		}
		vs = append(vs, vector{strings.TrimSpace(col[1]), octets(t, col[2]), parseFields(t, said), remark})
	}
	if len(vs) == 0 {
		t.Fatalf("no vectors in section %q", section)
	}
	return vs
}

// octets reads "05 41*3": 05 41 41 41.
func octets(t testing.TB, s string) []byte {
	t.Helper()
	var b []byte
	for _, tok := range strings.Fields(strings.TrimSuffix(s, " |")) {
		digits, times, repeated := strings.Cut(tok, "*")
		n := 1
		if repeated {
			n = number(t, times)
		}
		b = append(b, bytes.Repeat(unhex(t, digits), n)...)
	}
	return b
}

// unhex turns "07 0c | 00 2a" into octets; blanks and bars are for the reader.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(s))
	if err != nil {
		t.Fatalf("bad test vector %q: %v", s, err)
	}
	return b
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.ParseInt(s, 0, 0)
	if err != nil {
		t.Fatalf("bad number in test vector: %v", err)
	}
	return int(n)
}

// fields are the decoded fields of a vector. Each is taken once; what is left
// at the end was not looked at.
type fields map[string]string

var field = regexp.MustCompile(`(\w+)=("[^"]*"|\d+ x 0x\w\w|\S+)`)

func parseFields(t testing.TB, s string) fields {
	t.Helper()
	f := fields{}
	for _, m := range field.FindAllStringSubmatch(s, -1) {
		f[m[1]] = m[2]
	}
	if left := strings.TrimSpace(field.ReplaceAllString(s, "")); left != "" {
		t.Fatalf("test vector field not understood: %q", left)
	}
	return f
}

func (f fields) take(t testing.TB, name string) string {
	t.Helper()
	s, ok := f[name]
	if !ok {
		t.Fatalf("test vector lacks the field %q", name)
	}
	delete(f, name)
	return s
}

func (f fields) num(t testing.TB, name string) int { t.Helper(); return number(t, f.take(t, name)) }
func (f fields) id(t testing.TB, name string) uint16 {
	t.Helper()
	return uint16(f.num(t, name))
}
func (f fields) bool(t testing.TB, name string) bool { t.Helper(); return f.num(t, name) != 0 }
func (f fields) reason(t testing.TB) Reason          { t.Helper(); return Reason(f.num(t, "rc")) }

func (f fields) qos(t testing.TB) QoS {
	t.Helper()
	if q := f.num(t, "qos"); q != 3 {
		return QoS(q)
	}
	return QoSMinusOne
}

func (f fields) duration(t testing.TB) time.Duration {
	t.Helper()
	if s := f.take(t, "duration"); s != "none" {
		return time.Duration(number(t, s)) * time.Second
	}
	return 0
}

// octets reads "text", hex:0a0b, 3 x 0x41 or none.
func (f fields) octets(t testing.TB, name string) []byte {
	t.Helper()
	s := f.take(t, name)
	if n, octet, repeated := strings.Cut(s, " x 0x"); repeated {
		return bytes.Repeat(unhex(t, octet), number(t, n))
	}
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		return unhex(t, digits)
	}
	if s == "none" || s == `""` {
		return nil
	}
	return []byte(strings.Trim(s, `"`))
}

// topic reads tit and whichever of tid, name and topic goes with it.
func (f fields) topic(t testing.TB) Topic {
	t.Helper()
	kind := f.num(t, "tit")
	short := func(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }
	_, hasName := f["name"]
	_, hasTopic := f["topic"]
	switch {
	case kind == 2 && hasTopic:
		return Topic{Kind: TopicShort, ID: short(f.octets(t, "topic"))}
	case kind == 2:
		return Topic{Kind: TopicShort, ID: short(f.octets(t, "tid"))}
	case hasTopic:
		return Topic{Kind: TopicName, Name: f.octets(t, "topic")}
	case hasName:
		return Topic{Kind: TopicName, Name: f.octets(t, "name")}
	}
	return Topic{Kind: []TopicKind{TopicNormal, TopicPredefined}[kind], ID: f.id(t, "tid")}
}

// packetOf builds the packet that the vector's fields describe.
func packetOf(t testing.TB, name string, f fields) Packet {
	t.Helper()
	switch name {
	case "ADVERTISE":
		return &Advertise{GatewayID: uint8(f.num(t, "gw")), Duration: f.duration(t)}
	case "SEARCHGW":
		return &Searchgw{Radius: uint8(f.num(t, "radius"))}
	case "GWINFO":
		return &Gwinfo{GatewayID: uint8(f.num(t, "gw")), Address: f.octets(t, "addr")}
	case "CONNECT":
		return &Connect{Will: f.bool(t, "will"), CleanSession: f.bool(t, "clean"),
			ProtocolID: uint8(f.num(t, "proto")), KeepAlive: f.duration(t), ClientID: f.octets(t, "cid")}
	case "CONNACK":
		return &Connack{Reason: f.reason(t)}
	case "WILLTOPICREQ":
		return &Willtopicreq{}
	case "WILLTOPIC", "WILLTOPICUPD":
		p := Willtopic{Topic: f.octets(t, "topic")}
		if len(f) != 0 {
			p.QoS, p.Retain = f.qos(t), f.bool(t, "retain")
		}
		if name == "WILLTOPICUPD" {
			return (*Willtopicupd)(&p)
		}
		return &p
	case "WILLMSGREQ":
		return &Willmsgreq{}
	case "WILLMSG":
		return &Willmsg{Payload: f.octets(t, "msg")}
	case "REGISTER":
		return &Register{TopicID: f.id(t, "tid"), ID: f.id(t, "mid"), Name: f.octets(t, "topic")}
	case "REGACK":
		return &Regack{TopicID: f.id(t, "tid"), ID: f.id(t, "mid"), Reason: f.reason(t)}
	case "PUBLISH":
		return &Publish{DUP: f.bool(t, "dup"), QoS: f.qos(t), Retain: f.bool(t, "retain"),
			Topic: f.topic(t), ID: f.id(t, "mid"), Payload: f.octets(t, "data")}
	case "PUBACK":
		return &Puback{TopicID: f.id(t, "tid"), ID: f.id(t, "mid"), Reason: f.reason(t)}
	case "PUBREC":
		return &Pubrec{ID: f.id(t, "mid")}
	case "PUBREL":
		return &Pubrel{ID: f.id(t, "mid")}
	case "PUBCOMP":
		return &Pubcomp{ID: f.id(t, "mid")}
	case "SUBSCRIBE":
		return &Subscribe{DUP: f.bool(t, "dup"), QoS: f.qos(t), ID: f.id(t, "mid"), Topic: f.topic(t)}
	case "SUBACK":
		return &Suback{QoS: f.qos(t), TopicID: f.id(t, "tid"), ID: f.id(t, "mid"), Reason: f.reason(t)}
	case "UNSUBSCRIBE":
		if f.bool(t, "dup") || f.qos(t) != 0 {
			t.Fatal("UNSUBSCRIBE has no DUP and no QoS")
		}
		return &Unsubscribe{ID: f.id(t, "mid"), Topic: f.topic(t)}
	case "UNSUBACK":
		return &Unsuback{ID: f.id(t, "mid")}
	case "PINGREQ":
		return &Pingreq{ClientID: f.octets(t, "cid")}
	case "PINGRESP":
		return &Pingresp{}
	case "DISCONNECT":
		return &Disconnect{Duration: f.duration(t)}
	case "WILLTOPICRESP":
		return &Willtopicresp{Reason: f.reason(t)}
	case "WILLMSGUPD":
		return &Willmsgupd{Payload: f.octets(t, "msg")}
	case "WILLMSGRESP":
		return &Willmsgresp{Reason: f.reason(t)}
	}
	t.Fatalf("test vector names the packet %q", name)
	return nil
}

// otherHeader is wire with a long header for a short one, and the reverse; it
// is nil if there is no other form.
func otherHeader(wire []byte) []byte {
	if wire[0] != 1 {
		n := len(wire) + 2
		return slices.Concat([]byte{1, byte(n >> 8), byte(n)}, wire[1:])
	}
	if n := len(wire) - 2; n <= 255 {
		return slices.Concat([]byte{byte(n)}, wire[3:])
	}
	return nil
}

// TestVectors holds the codec to every golden vector of 1.2: all of its
// fields, both forms of its header, its octets again when encoded, and no
// strict prefix of it passes.
func TestVectors(t *testing.T) {
	// Legal to receive, but there is a shorter way to say it.
	notShortest := []string{"03 07 00", "01 00 04 16"}
	covered := map[Type]bool{}
	for _, v := range vectors(t, "v1.2") {
		if v.packet == "ENCAPSULATED" {
			continue // TestEnvelopeVectors
		}
		t.Run(v.packet+" "+v.remark, func(t *testing.T) {
			want := packetOf(t, v.packet, v.fields)
			if len(v.fields) != 0 {
				t.Errorf("fields %v of the vector were not compared", v.fields)
			}
			covered[want.Type()] = true
			if got := want.Type().String(); got != v.packet {
				t.Errorf("the vector's %s is a %s of ours", v.packet, got)
			}
			for _, wire := range [][]byte{v.wire, otherHeader(v.wire)} {
				if wire == nil {
					continue
				}
				if got, err := Decode(V12, wire); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("Decode(%x) = %v, %v; want %v", wire, got, err, want)
				}
				noPrefixDecodes(t, wire)
			}
			wire, err := Append(nil, V12, want)
			shortest := !slices.ContainsFunc(notShortest, func(s string) bool { return bytes.Equal(unhex(t, s), v.wire) })
			if err != nil || bytes.Equal(wire, v.wire) != shortest || len(wire) > len(v.wire) {
				t.Errorf("Append(%v) = %x, %v; want the vector's octets %x: %v", want, wire, err, v.wire, shortest)
			}
		})
	}
	for typ := Type(1); typ < NumTypes; typ++ {
		if !covered[typ] {
			t.Errorf("no vector of %v", typ)
		}
	}
}

func noPrefixDecodes(t *testing.T, wire []byte) {
	t.Helper()
	for n := range wire {
		if p, err := Decode(V12, wire[:n]); err == nil {
			t.Errorf("Decode(%x), %d octets short, = %v; want an error", wire[:n], len(wire)-n, p)
		}
	}
}

// TestEnvelopeVectors does the same for the forwarder's envelope.
func TestEnvelopeVectors(t *testing.T) {
	n := 0
	for _, v := range vectors(t, "v1.2") {
		if v.packet != "ENCAPSULATED" {
			continue
		}
		n++
		want := Envelope{Radius: uint8(v.fields.num(t, "radius")), Node: v.fields.octets(t, "node")}
		wantInner := v.fields.octets(t, "inner")
		e, inner, err := Unwrap(V12, v.wire)
		if err != nil || !reflect.DeepEqual(e, want) || !bytes.Equal(inner, wantInner) {
			t.Errorf("Unwrap(%x) = %v, %x, %v; want %v, %x", v.wire, e, inner, err, want, wantInner)
		}
		if !Encapsulated(V12, v.wire) {
			t.Errorf("Encapsulated(%x) is false", v.wire)
		}
		if _, err := Decode(V12, inner); err != nil {
			t.Errorf("Decode(%x), from inside an envelope: %v", inner, err)
		}
		if b, err := Wrap(nil, V12, want); err != nil || !bytes.Equal(append(b, inner...), v.wire) {
			t.Errorf("Wrap(%v) = %x, %v; want %x before the packet", want, b, err, v.wire)
		}
		for n := range v.wire {
			_, inner, err := Unwrap(V12, v.wire[:n])
			if err != nil {
				continue
			}
			if p, err := Decode(V12, inner); err == nil {
				t.Errorf("%x, cut to %d octets, holds %v; want an error", v.wire, n, p)
			}
		}
	}
	if n == 0 {
		t.Error("no vector of an envelope")
	}
}

// TestNegativeVectors holds the codec to what the robustness vectors expect.
// Most are errors; a few are for the session to answer, so they decode.
func TestNegativeVectors(t *testing.T) {
	want := map[string]any{
		"05166465":       ErrLength,
		"021600":         ErrLength,
		"0100":           ErrTruncated,
		"00":             ErrTruncated,
		"01000316":       ErrLength,
		"0211":           ErrType,
		"060c00000700":   ErrTruncated,
		"031801":         ErrTruncated,
		"0512000001":     ErrTruncated,
		"05fe001234":     ErrTruncated,
		"05fefd12340216": ErrReserved,
		"080c030007000041": &Publish{Topic: Topic{Kind: TopicReserved, ID: 7},
			Payload: []byte("A")},
		"04180000": &Disconnect{},
		"041b0000": &Willtopicresp{},
		"0100ff0c0000010000" + strings.Repeat("41", 248): &Publish{Topic: Topic{ID: 1},
			Payload: bytes.Repeat([]byte("A"), 248)},
	}
	for _, v := range vectors(t, "negative") {
		key := hex.EncodeToString(v.wire)
		var got Packet
		var err error
		if Encapsulated(V12, v.wire) {
			_, _, err = Unwrap(V12, v.wire)
		} else {
			got, err = Decode(V12, v.wire)
		}
		switch want := want[key].(type) {
		case nil:
			t.Errorf("%s %s: no expectation; got %v, %v", v.packet, key, got, err)
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s %s: got %v, %v; want %v", v.packet, key, got, err, want)
			}
		default:
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: got %v, %v; want %v", v.packet, key, got, err, want)
			}
		}
	}
}
