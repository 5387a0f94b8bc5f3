package mqttsn

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestString pins how a packet prints, and that the wire cannot print what it
// likes.
func TestString(t *testing.T) {
	for _, tt := range []struct {
		v    fmt.Stringer
		want string
	}{
		{&Publish{QoS: 1, Topic: Topic{ID: 7}, ID: 5, Payload: []byte("hi")}, `PUBLISH QoS:1 Topic:7 ID:5 Payload:"hi"`},
		{&Publish{DUP: true, QoS: -1, Retain: true, Topic: Topic{Kind: TopicName, Name: []byte("a/b")}},
			`PUBLISH DUP:true QoS:-1 Retain:true Topic:"a/b" ID:0`},
		{&Publish{Topic: Topic{Kind: TopicShort, ID: 0x5431}}, `PUBLISH QoS:0 Topic:short:"T1" ID:0`},
		{&Subscribe{Topic: Topic{Kind: TopicPredefined, ID: 2}, ID: 1}, `SUBSCRIBE QoS:0 ID:1 Topic:predefined:2`},
		{&Unsubscribe{Topic: Topic{Kind: TopicReserved, ID: 2}}, `UNSUBSCRIBE ID:0 Topic:reserved:2`},
		{&Connect{CleanSession: true, ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("\x1b[2J\n\xff")},
			`CONNECT CleanSession:true ProtocolID:1 KeepAlive:1m0s ClientID:"\x1b[2J\n\xff"`},
		{&Connack{}, "CONNACK Reason:accepted"},
		{&Puback{TopicID: 7, ID: 5, Reason: InvalidTopicID}, "PUBACK TopicID:7 ID:5 Reason:invalid topic id"},
		{&Puback{Reason: 0x80}, "PUBACK TopicID:0 ID:0 Reason:reason 0x80"},
		{&Disconnect{}, "DISCONNECT"},
		{&Disconnect{Duration: 5 * time.Minute}, "DISCONNECT Duration:5m0s"},
		{&Pingresp{}, "PINGRESP"},
		{Envelope{Radius: 1, Node: []byte{0x12, 0x34}}, "ENCAPSULATED Radius:1 Node:1234"},
	} {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	for _, l := range v12.byType {
		if l == nil {
			continue
		}
		if got, want := fmt.Sprint(l.new()), l.typ.String(); !strings.HasPrefix(got, want) {
			t.Errorf("a %s prints as %s", want, got)
		}
	}
}

func TestNamesOfUnknownValues(t *testing.T) {
	for got, want := range map[string]string{
		Version(9).String(): "Version(9)", V12.String(): "1.2",
		Type(0).String(): "Type(0)", Type(200).String(): "Type(200)",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
