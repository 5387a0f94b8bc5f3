package record

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
)

const (
	explicitNonce = 8  // octets before what is sealed: epoch and sequence number
	nonceLength   = 12 // the IV, and those
)

// Ciphers are an association's keys made ready, some 2 KB, and room to work
// in. They can be made again at any time, so keep them for the active only.
// They are not safe for concurrent use.
type Ciphers struct {
	read, write cipher.AEAD
	nonce       [nonceLength]byte
	data        [31 + MaxPeerCID]byte // additional data
}

// Ciphers makes those of a.
func (a *Association) Ciphers() *Ciphers {
	return &Ciphers{read: a.Suite.aead(a.Read), write: a.Suite.aead(a.Write)}
}

// aead is the suite's with a key.
func (s Suite) aead(key [16]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	must(err)
	if s == CCM8 {
		c, err := ccm.NewCCM(block, s.tag(), nonceLength)
		must(err)
		return c
	}
	c, err := cipher.NewGCM(block)
	must(err)
	return c
}

// must is for what fails by the lengths alone, which are constants.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// additional is what is authenticated beside the content, of plain octets, of
// a record with that header. Without a connection id, RFC 5246 §6.2.3.3,
//
//	epoch(2) sequence_number(6) type(1) version(2) length(2)
//
// and with one, RFC 9146 §5.3,
//
//	0xff(8) tls12_cid(1) cid_length(1)
//	tls12_cid(1) version(2) epoch(2) sequence_number(6) cid length(2)
func (c *Ciphers) additional(header []byte, plain int) []byte {
	b := c.data[:0]
	if ContentType(header[0]) == CID {
		b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		b = append(b, byte(CID), byte(len(header)-headerLength))
		b = append(b, header[:len(header)-2]...)
	} else {
		b = append(b, header[epochAt:cidAt]...)
		b = append(b, header[:epochAt]...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(plain))
}
