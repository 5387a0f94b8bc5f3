package disk

import (
	"encoding/binary"
	"fmt"
)

// The first octet of a key.
const (
	aNote     = 'a'
	aRun      = 'b'
	aMessage  = 'm'
	aSession  = 's'
	aRetained = 't'
	aTurn     = 'n'
)

// The octet after a session's number: what of it this is. Load reads a session
// in this order.
const (
	ofSession = iota
	ofSubscription
	ofAccepted
	ofInFlight
	ofWaiting
)

// Octets of a message's number and of a session's. Numbers of sessions are not
// used again before a restart, and 5 octets last for a thousand years at 30
// sessions a second.
const (
	seqSize    = 8
	numberSize = 5
	headSize   = 1 + numberSize + 1 // of the key of what belongs to a session
)

// A number stands for a client id in keys.
type number uint64

func messageKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, aMessage), seq)
}

func retainedKey(dst []byte, topic string) []byte {
	return append(append(dst, aRetained), topic...)
}

func noteKey(dst []byte, name string) []byte { return append(append(dst, aNote), name...) }

// sessionKey begins the key of what of a session.
func sessionKey(dst []byte, n number, what byte) []byte {
	dst = append(dst, aSession, byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(dst, what)
}

func subscriptionKey(dst []byte, n number, filter string) []byte {
	return append(sessionKey(dst, n, ofSubscription), filter...)
}

// packetKey is that of what was Accepted or is in flight under an id.
func packetKey(dst []byte, n number, what byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(sessionKey(dst, n, what), id)
}

func waitingKey(dst []byte, n number, seq uint64, share string) []byte {
	return append(binary.BigEndian.AppendUint64(sessionKey(dst, n, ofWaiting), seq), share...)
}

// numberOf and what take the key of what belongs to a session apart, and tail
// is the rest. ok is false if it is none.
func parseSessionKey(key []byte) (n number, what byte, tail []byte, ok bool) {
	if len(key) < headSize || key[0] != aSession {
		return 0, 0, nil, false
	}
	for _, b := range key[1 : 1+numberSize] {
		n = n<<8 | number(b)
	}
	what, tail = key[headSize-1], key[headSize:]
	switch what {
	case ofSession:
		ok = len(tail) == 0
	case ofSubscription:
		ok = true
	case ofAccepted, ofInFlight:
		ok = len(tail) == 2
	case ofWaiting:
		ok = len(tail) >= seqSize
	}
	return n, what, tail, ok
}

// keyName is what a key is for, in words for who must do something about it.
func keyName(key []byte) string {
	switch n, what, tail, ok := parseSessionKey(key); {
	case ok:
		switch what {
		case ofSession:
			return fmt.Sprintf("session number %d", n)
		case ofSubscription:
			return fmt.Sprintf("subscription %q of session number %d", tail, n)
		case ofAccepted:
			return fmt.Sprintf("accepted packet %d of session number %d", binary.BigEndian.Uint16(tail), n)
		case ofInFlight:
			return fmt.Sprintf("packet %d in flight to session number %d", binary.BigEndian.Uint16(tail), n)
		default:
			return fmt.Sprintf("message %d waiting for session number %d", binary.BigEndian.Uint64(tail), n)
		}
	case len(key) > 0 && key[0] == aNote:
		return fmt.Sprintf("note %q", key[1:])
	case len(key) == 1 && key[0] == aRun:
		return "number of the run"
	case len(key) == 1+seqSize && key[0] == aMessage:
		return fmt.Sprintf("message %d", binary.BigEndian.Uint64(key[1:]))
	case len(key) > 1 && key[0] == aRetained:
		return fmt.Sprintf("retained message of topic %q", key[1:])
	}
	return fmt.Sprintf("key %x", key)
}
