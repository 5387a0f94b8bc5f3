package dtls

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
)

// randomAt is where the Random of a ClientHello is, in its datagram.
const randomAt = 13 + 12 + 2

// numbered is a ClientHello with another Random.
func numbered(hello []byte, n int) []byte {
	d := bytes.Clone(hello)
	binary.BigEndian.PutUint32(d[randomAt+4:], uint32(n))
	return d
}

// changed is a ClientHello after something was done to it: the second of a
// handshake, if it has a cookie.
func changed(t testing.TB, hello []byte, how func(*handshake.MessageClientHello)) []byte {
	t.Helper()
	var r recordlayer.RecordLayer
	if err := r.Unmarshal(hello); err != nil {
		t.Fatal(err)
	}
	h := r.Content.(*handshake.Handshake)
	m := h.Message.(*handshake.MessageClientHello)
	how(m)
	if len(m.Cookie) > 0 {
		r.Header.SequenceNumber, h.Header.MessageSequence = 1, 1
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cookieIn is the cookie of a HelloVerifyRequest.
func cookieIn(t testing.TB, answer []byte) []byte {
	t.Helper()
	var r recordlayer.RecordLayer
	if err := r.Unmarshal(answer); err != nil {
		t.Fatal(err)
	}
	if h, ok := r.Content.(*handshake.Handshake); ok {
		if m, ok := h.Message.(*handshake.MessageHelloVerifyRequest); ok && m.Version == protocol.Version1_2 {
			return m.Cookie
		}
	}
	t.Fatalf("%x is no HelloVerifyRequest", answer)
	return nil
}

// knocks has a peer say hello from there, and again with the cookie that it was
// asked for: what makes a handshake begin.
func (b *bench) knocks(t testing.TB, from netip.AddrPort, hello []byte) {
	t.Helper()
	b.receives(from, hello)
	var cookie []byte
	for _, d := range b.wire.take() {
		if d.Peer.Addr == from {
			cookie = cookieIn(t, d.Buf)
		}
	}
	if cookie == nil {
		t.Fatalf("a ClientHello from %v was not answered", from)
	}
	b.receives(from, changed(t, hello, func(m *handshake.MessageClientHello) { m.Cookie = cookie }))
}
