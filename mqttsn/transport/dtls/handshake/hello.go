package handshake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/record"
)

// A Hello is a ClientHello, RFC 6347 §4.2.1.
type Hello struct {
	Random [32]byte

	message  *handshake.MessageClientHello
	sequence uint64 // of its record
	datagram []byte // it came in
}

// ErrHello is that a datagram does not begin with a ClientHello in one piece.
// One in several has to be remembered before its sender has shown that it is
// there, and none of a sensor's is as long.
var ErrHello = errors.New("handshake: not a ClientHello in one piece")

// IsHello reports whether a datagram, which begins with r, has a ClientHello.
func IsHello(r record.Record) bool {
	return r.Type == record.Handshake && r.Epoch == 0 && len(r.Fragment) > 0 &&
		handshake.Type(r.Fragment[0]) == handshake.TypeClientHello
}

// ReadHello reads the ClientHello that a datagram begins with. It refers to the
// datagram afterwards.
func ReadHello(datagram []byte) (*Hello, error) {
	r, _, err := record.Next(datagram, record.IDLength)
	if err != nil || !IsHello(r) {
		return nil, ErrHello
	}
	var h handshake.Handshake
	if err := h.Unmarshal(r.Fragment); err != nil {
		return nil, errors.Join(ErrHello, err)
	}
	m, ok := h.Message.(*handshake.MessageClientHello)
	if !ok {
		return nil, ErrHello
	}
	return &Hello{Random: m.Random.MarshalFixed(), message: m, sequence: r.Sequence, datagram: datagram}, nil
}

// bare is the ClientHello as it was before it had a cookie: a record by itself.
func (h *Hello) bare() ([]byte, error) {
	m := *h.message
	m.Cookie = nil
	return marshal(max(h.sequence, 1)-1, 0, &m)
}

// marshal makes a record of a handshake message: the numbers are of either.
func marshal(sequence uint64, ofMessage uint16, m handshake.Message) ([]byte, error) {
	r := recordlayer.RecordLayer{
		Header:  recordlayer.Header{Version: protocol.Version1_2, SequenceNumber: sequence},
		Content: &handshake.Handshake{Header: handshake.Header{MessageSequence: ofMessage}, Message: m},
	}
	return r.Marshal()
}

// Cookies are what a client has to send back, before anything is remembered of
// it: RFC 6347 §4.2.1. They are good for its address and its ClientHello, for a
// minute at least and two at most.
type Cookies struct{ key [sha256.Size]byte }

// NewCookies returns cookies that nobody else can bake.
func NewCookies() *Cookies {
	c := new(Cookies)
	rand.Read(c.key[:])
	return c
}

const (
	cookieLength = 20 // as pion's
	cookieLasts  = clock.Time(time.Minute)
)

func (c *Cookies) bake(h *Hello, from netip.AddrPort, minute clock.Time) ([]byte, error) {
	parameters := *h.message // those that stay the same when the cookie is sent back
	parameters.Cookie, parameters.Extensions = nil, nil
	octets, err := parameters.Marshal()
	if err != nil {
		return nil, err
	}
	addr := from.Addr().As16()
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write(binary.BigEndian.AppendUint16(addr[:], from.Port()))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(minute)))
	mac.Write(octets)
	return mac.Sum(nil)[:cookieLength], nil
}

// Fits reports whether h has a cookie of ours, for that address.
func (c *Cookies) Fits(h *Hello, from netip.AddrPort, now clock.Time) bool {
	for age := range clock.Time(2) {
		want, err := c.bake(h, from, now/cookieLasts-age)
		if err == nil && hmac.Equal(want, h.message.Cookie) {
			return true
		}
	}
	return false
}

// Ask returns the HelloVerifyRequest that asks for a cookie: a datagram of 48
// octets, which is shorter than any ClientHello.
//
// It is record 0, whatever record the ClientHello was. RFC 6347 §4.2.1 would
// have it the same, and the ServerHello the number of the next ClientHello; but
// pion numbers its ServerHello 1, which a client that had to repeat its first
// ClientHello would take for a replay.
func (c *Cookies) Ask(h *Hello, from netip.AddrPort, now clock.Time) ([]byte, error) {
	cookie, err := c.bake(h, from, now/cookieLasts)
	if err != nil {
		return nil, err
	}
	return marshal(0, 0, &handshake.MessageHelloVerifyRequest{Version: protocol.Version1_2, Cookie: cookie})
}
