package mqttsn

import "testing"

// hot are the packets that a busy gateway reads and writes for every message.
var hot = []struct {
	name string
	p    Packet
}{
	{"Publish", &Publish{QoS: 1, Topic: Topic{ID: 7}, ID: 5, Payload: []byte("23.5 deg C 0")}},
	{"Puback", &Puback{TopicID: 7, ID: 5}},
	{"Pingreq", &Pingreq{ClientID: []byte("dev-01")}},
}

// TestHotPathsDoNotAllocate: a million sensors must not be paid for in garbage.
func TestHotPathsDoNotAllocate(t *testing.T) {
	for _, h := range hot {
		buf, err := Append(nil, V12, h.p)
		if err != nil {
			t.Fatal(err)
		}
		wire := append([]byte(nil), buf...)
		var d Decoder
		if n := testing.AllocsPerRun(100, func() {
			if _, err := d.Decode(V12, wire); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Decode of %s allocates %v times", h.name, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := Append(buf[:0], V12, h.p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Append of %s allocates %v times", h.name, n)
		}
	}
	envelope := Envelope{Node: []byte{0x12, 0x34}}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		b, _ := Wrap(buf, V12, envelope)
		b = append(b, 2, 0x16)
		if _, _, err := Unwrap(V12, b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an envelope allocates %v times", n)
	}
}

func benchmarkDecode(b *testing.B, i int) {
	wire, err := Append(nil, V12, hot[i].p)
	if err != nil {
		b.Fatal(err)
	}
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(V12, wire); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkAppend(b *testing.B, i int) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Append(buf, V12, hot[i].p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePublish(b *testing.B) { benchmarkDecode(b, 0) }
func BenchmarkAppendPublish(b *testing.B) { benchmarkAppend(b, 0) }
func BenchmarkDecodePuback(b *testing.B)  { benchmarkDecode(b, 1) }
func BenchmarkAppendPuback(b *testing.B)  { benchmarkAppend(b, 1) }
func BenchmarkDecodePingreq(b *testing.B) { benchmarkDecode(b, 2) }
func BenchmarkAppendPingreq(b *testing.B) { benchmarkAppend(b, 2) }
