package record

import (
	"bytes"
	"encoding/binary"
)

// A Suite is what protects records.
type Suite uint8

const (
	CCM8 Suite = iota + 1 // AES-128-CCM with a tag of 8 octets
	GCM                   // AES-128-GCM
)

// tag is the length of the suite's tag in octets.
func (s Suite) tag() int {
	if s == CCM8 {
		return 8
	}
	return 16
}

// Limit is how many records one key may seal, so that what is sealed tells
// nothing of the key (RFC 9147 §4.5.3, which goes for DTLS 1.2 as well). It is
// far below what the 48 bits of a sequence number can tell apart.
func (s Suite) Limit() uint32 {
	if s == CCM8 {
		return 1 << 23
	}
	return 1 << 24
}

const (
	// IDLength is the length in octets of our connection ids.
	IDLength = 8

	// MaxPeerCID is the length in octets of the longest connection id that a
	// peer may want to be sent.
	MaxPeerCID = 20
)

// An ID names an association, also over a restart. It is unguessable, and the
// connection id that the peer sends us, unless it sends none.
type ID [IDLength]byte

// Keys are what a handshake has agreed on. Read is the peer's.
type Keys struct {
	Read, Write     [16]byte
	ReadIV, WriteIV [4]byte // client_write_IV, server_write_IV: RFC 5288 §3, RFC 6655 §3
}

// An Association is one peer's, after its handshake: epoch 1. It is a value of
// 96 octets that holds no pointer.
type Association struct {
	Keys
	ID         ID
	PeerCID    [MaxPeerCID]byte
	PeerCIDLen uint8 // 0: it is sent none
	Suite      Suite
	HasCID     bool // it sends us ID in every record

	// Sent is the number of the next record to seal, and is below Reserved, which
	// outlives the process: so no number is ever used twice. Reserved only grows.
	Sent, Reserved uint32

	// Received is one more than the highest number opened; window has a bit for
	// each of the 64 below it: RFC 6347 §4.1.2.6.
	Received, window uint64
}

// Content is what a record held.
type Content struct {
	Type   ContentType
	Octets []byte // where the record was
	Newest bool   // its number is higher than all before
}

// Open opens r in place. On an error a is as it was, but the octets of r may
// not be. Receiving needs no reservation.
func (a *Association) Open(c *Ciphers, r Record) (Content, error) {
	if err := a.expects(r); err != nil {
		return Content{}, err
	}
	sealed := len(r.Fragment) - explicitNonce
	plain := sealed - a.Suite.tag()
	if plain < 0 {
		return Content{}, ErrTruncated
	}
	copy(c.nonce[:], a.ReadIV[:])
	copy(c.nonce[len(a.ReadIV):], r.Fragment)
	octets := r.Fragment[explicitNonce:]
	octets, err := c.read.Open(octets[:0], c.nonce[:], octets, c.additional(r.header, plain))
	if err != nil {
		return Content{}, ErrForged
	}
	got := Content{Type: r.Type, Octets: octets, Newest: a.note(r.Sequence)}
	if r.Type == CID {
		got.unwrap()
	}
	return got, nil
}

// expects says why r cannot be for a, before anything is deciphered.
func (a *Association) expects(r Record) error {
	switch {
	case r.header[2] != minor:
		return ErrVersion
	case r.Epoch != 1:
		return ErrEpoch
	case a.HasCID != (r.Type == CID):
		return ErrType
	case a.HasCID && !bytes.Equal(r.CID, a.ID[:]):
		return ErrCID
	case !a.HasCID && r.Type != ApplicationData && r.Type != Alert && r.Type != Handshake:
		return ErrType
	case a.seen(r.Sequence):
		return ErrReplayed
	}
	return nil
}

// unwrap takes the type proper, and the zeros that pad, off the end of a
// DTLSInnerPlaintext, RFC 9146 §4. Type stays CID if there is nothing but zeros.
func (c *Content) unwrap() {
	inner := bytes.TrimRight(c.Octets, "\x00")
	if n := len(inner); n > 0 {
		c.Type, c.Octets = ContentType(inner[n-1]), inner[:n-1]
	}
}

const window = 64 // numbers below Received that are told apart

// seen reports whether a number was opened, or is too old to tell.
func (a *Association) seen(number uint64) bool {
	return number < a.Received &&
		(a.Received-number > window || a.window&(1<<(a.Received-1-number)) != 0)
}

// note remembers that a number was opened, and reports whether it is the
// highest yet.
func (a *Association) note(number uint64) (newest bool) {
	if number < a.Received {
		a.window |= 1 << (a.Received - 1 - number)
		return false
	}
	a.window = a.window<<(number+1-a.Received) | 1 // a shift by more than 63 leaves none
	a.Received = number + 1
	return true
}

// Forget makes all that is below Received too old to tell, as after a restart.
func (a *Association) Forget() { a.window = 1<<window - 1 }

// Overhead is by how many octets sealing makes an octet string longer.
func (a *Association) Overhead() int {
	n := headerLength + explicitNonce + a.Suite.tag()
	if a.PeerCIDLen > 0 {
		n += int(a.PeerCIDLen) + 1
	}
	return n
}

// Seal appends a record that holds octets to dst, under a number never used
// before. The last number that the keys may seal is kept for an alert: for
// all else it is ErrExhausted. On an error dst is returned unchanged.
func (a *Association) Seal(c *Ciphers, dst []byte, t ContentType, octets []byte) ([]byte, error) {
	limit := a.Suite.Limit()
	if t != Alert {
		limit--
	}
	switch {
	case a.Sent >= limit:
		return dst, ErrExhausted
	case a.Sent >= a.Reserved:
		return dst, ErrUnreserved
	}
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], 1<<48|uint64(a.Sent))
	a.Sent++

	start := len(dst)
	outer, plain := t, len(octets)
	if a.PeerCIDLen > 0 {
		outer, plain = CID, plain+1
	}
	dst = append(dst, byte(outer), major, minor)
	dst = append(dst, number[:]...)
	dst = append(dst, a.PeerCID[:a.PeerCIDLen]...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(explicitNonce+plain+a.Suite.tag()))
	header := dst[start:]
	dst = append(dst, number[:]...)
	body := len(dst)
	dst = append(dst, octets...)
	if outer == CID {
		dst = append(dst, byte(t))
	}
	copy(c.nonce[:], a.WriteIV[:])
	copy(c.nonce[len(a.WriteIV):], number[:])
	return c.write.Seal(dst[:body], c.nonce[:], dst[body:], c.additional(header, plain)), nil
}
