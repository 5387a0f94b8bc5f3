// Package record protects the records of DTLS 1.2 (RFC 6347 §4.1) after the
// handshake, with Connection IDs (RFC 9146) or without. It knows the cipher
// suites of small sensors: AES-128 with CCM-8 (RFC 6655) and with GCM
// (RFC 5288).
//
// An [Association] is a plain value without a pointer in it. There is no
// goroutine, no clock and no socket here: whoever has an Association opens and
// seals with it, one call at a time. The ciphers are those of the standard
// library and of pion; this package frames, numbers and remembers.
package record

import (
	"encoding/binary"
	"errors"
)

// A ContentType says what a record holds.
type ContentType uint8

const (
	ChangeCipherSpec ContentType = 20
	Alert            ContentType = 21
	Handshake        ContentType = 22
	ApplicationData  ContentType = 23
	CID              ContentType = 25 // tls12_cid: the type proper is inside
)

// Why a record was not opened, or cannot be sealed. Nothing has changed then.
var (
	ErrTruncated = errors.New("truncated")
	ErrVersion   = errors.New("not of DTLS 1.2")
	ErrEpoch     = errors.New("of another epoch")
	ErrCID       = errors.New("of another connection id")
	ErrType      = errors.New("of a type that has no place here")
	ErrReplayed  = errors.New("replayed, or too old to tell")
	ErrForged    = errors.New("forged")

	ErrUnreserved = errors.New("the sequence number is not reserved yet")
	ErrExhausted  = errors.New("the keys have sealed all that they may")
)

const (
	headerLength = 13 // ContentType(1) ProtocolVersion(2) epoch(2) sequence_number(6) length(2)
	epochAt      = 3
	cidAt        = 11 // the connection id stands before length

	major, minor = 0xfe, 0xfd // DTLS 1.2
	minor10      = 0xff       // DTLS 1.0, which a ClientHello may say

	// MaxSequence is the greatest sequence number, 48 bits.
	MaxSequence = 1<<48 - 1
)

// A Record is one record of a datagram, and aliases it.
type Record struct {
	Type     ContentType
	Epoch    uint16
	Sequence uint64 // 48 bits
	CID      []byte // of a record of type CID

	Fragment []byte
	header   []byte
}

// Next takes the first record off a datagram. A record of type CID has a
// connection id of cidLength octets, which nothing in it says.
func Next(datagram []byte, cidLength int) (r Record, rest []byte, err error) {
	if len(datagram) < headerLength {
		return r, nil, ErrTruncated
	}
	if datagram[1] != major || datagram[2] != minor && datagram[2] != minor10 {
		return r, nil, ErrVersion
	}
	length := headerLength
	if r.Type = ContentType(datagram[0]); r.Type == CID {
		length += cidLength
	}
	if len(datagram) < length {
		return r, nil, ErrTruncated
	}
	number := binary.BigEndian.Uint64(datagram[epochAt:])
	r.Epoch, r.Sequence = uint16(number>>48), number&MaxSequence
	r.CID = datagram[cidAt : length-2]
	fragment := int(binary.BigEndian.Uint16(datagram[length-2:]))
	if len(datagram) < length+fragment {
		return r, nil, ErrTruncated
	}
	r.header = datagram[:length]
	r.Fragment = datagram[length : length+fragment]
	return r, datagram[length+fragment:], nil
}
