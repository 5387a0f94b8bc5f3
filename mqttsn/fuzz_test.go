package mqttsn

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// FuzzDecode states the codec's contract: no input panics, an error is a
// *PacketError, and whatever decodes encodes, no longer than it was, to octets
// that decode to the same packet. Only a reserved kind of topic cannot be
// written again.
func FuzzDecode(f *testing.F) {
	for _, section := range []string{"v1.2", "negative"} {
		for _, v := range vectors(f, section) {
			f.Add(v.wire)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(V12, b)
		if err != nil {
			if pe := (*PacketError)(nil); !errors.As(err, &pe) {
				t.Fatalf("error is %T, want *PacketError", err)
			}
			return
		}
		b2, err := Append(nil, V12, p)
		if reserved(p) && err != nil {
			return
		}
		if err != nil || len(b2) > len(b) {
			t.Fatalf("decoded %x to %v, which encodes to %x, %v", b, p, b2, err)
		}
		if p2, err := Decode(V12, b2); err != nil || !reflect.DeepEqual(p, p2) {
			t.Fatalf("%x -> %v -> %x -> %v, %v", b, p, b2, p2, err)
		}
	})
}

func reserved(p Packet) bool {
	switch p := p.(type) {
	case *Publish:
		return p.Topic.Kind == TopicReserved
	case *Subscribe:
		return p.Topic.Kind == TopicReserved
	case *Unsubscribe:
		return p.Topic.Kind == TopicReserved
	}
	return false
}

// FuzzUnwrap states the envelope's contract: no input panics, an error is a
// *PacketError, nothing that Encapsulated denies unwraps, and an envelope
// wrapped again before what was in it is the datagram.
func FuzzUnwrap(f *testing.F) {
	for _, section := range []string{"v1.2", "negative"} {
		for _, v := range vectors(f, section) {
			f.Add(v.wire)
			f.Add(append([]byte{5, 0xfe, 1, 0x12, 0x34}, v.wire...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, inner, err := Unwrap(V12, b)
		if err != nil {
			if pe := (*PacketError)(nil); !errors.As(err, &pe) {
				t.Fatalf("error is %T, want *PacketError", err)
			}
			return
		}
		if !Encapsulated(V12, b) || Encapsulated(V12, inner) || len(inner) == 0 {
			t.Fatalf("unwrapped %x to %v and %x", b, e, inner)
		}
		if w, err := Wrap(nil, V12, e); err != nil || !bytes.Equal(append(w, inner...), b) {
			t.Fatalf("%x -> %v -> %x, %v", b, e, w, err)
		}
	})
}
