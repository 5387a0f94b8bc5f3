package record

import (
	"encoding/binary"
	"errors"
)

// What is kept of an association is in two parts, all integers big-endian.
// That which never changes,
//
//	What(1) Suite(1) ReadKey(16) WriteKey(16) ReadIV(4) WriteIV(4) Length(1) PeerCID(Length)
//
// where What is keptVersion, and hasCID if the peer sends us ID; and that which
// does,
//
//	Received(6) Reserved(4)
const (
	keptVersion = 0x10 // upper half of What
	hasCID      = 1

	countsLength = 6 + 4
)

// ErrKept is that what was kept cannot be made out.
var ErrKept = errors.New("what was kept of an association cannot be made out")

// AppendMade appends what never changes of a: its keys among it.
func (a *Association) AppendMade(b []byte) []byte {
	what := byte(keptVersion)
	if a.HasCID {
		what |= hasCID
	}
	b = append(b, what, byte(a.Suite))
	b = append(append(b, a.Read[:]...), a.Write[:]...)
	b = append(append(b, a.ReadIV[:]...), a.WriteIV[:]...)
	return append(append(b, a.PeerCIDLen), a.PeerCID[:a.PeerCIDLen]...)
}

// AppendCounts appends what changes of a, if numbers below reserved may be
// used before it is kept the next time.
func (a *Association) AppendCounts(b []byte, reserved uint32) []byte {
	received := min(a.Received, MaxSequence) // one more does not fit, and is of no use either
	b = binary.BigEndian.AppendUint16(b, uint16(received>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(received))
	return binary.BigEndian.AppendUint32(b, reserved)
}

// Restore makes the association of that name again, from what was kept of it,
// and returns what was appended after each part. It has sent all that was
// reserved, and takes nothing that is older than what it had received.
func Restore(id ID, made, counts []byte) (a Association, restMade, restCounts []byte, err error) {
	const fixed = 1 + 1 + 16 + 16 + 4 + 4 + 1
	if len(made) < fixed || made[0]&^hasCID != keptVersion || len(counts) < countsLength {
		return a, nil, nil, ErrKept
	}
	a.ID, a.HasCID, a.Suite = id, made[0]&hasCID != 0, Suite(made[1])
	if a.Suite != CCM8 && a.Suite != GCM {
		return a, nil, nil, ErrKept
	}
	b := made[2:]
	for _, part := range [][]byte{a.Read[:], a.Write[:], a.ReadIV[:], a.WriteIV[:]} {
		b = b[copy(part, b):]
	}
	a.PeerCIDLen, b = b[0], b[1:]
	if int(a.PeerCIDLen) > min(MaxPeerCID, len(b)) {
		return a, nil, nil, ErrKept
	}
	copy(a.PeerCID[:], b[:a.PeerCIDLen])
	a.Received = uint64(binary.BigEndian.Uint16(counts))<<32 | uint64(binary.BigEndian.Uint32(counts[2:]))
	a.Reserved = binary.BigEndian.Uint32(counts[6:])
	a.Sent = a.Reserved
	a.Forget()
	return a, b[a.PeerCIDLen:], counts[countsLength:], nil
}
