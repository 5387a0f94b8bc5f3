package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/pion/dtls/v3/pkg/protocol"
	"github.com/pion/dtls/v3/pkg/protocol/alert"
	"github.com/pion/dtls/v3/pkg/protocol/extension"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"

	"dormouse/mqttsn/transport/dtls/record"
)

// ErrKey is that the peer has another key than we have, or none.
var ErrKey = errors.New("handshake: the peer has another key")

// A finish looks whether the peer's Finished is sealed with the keys that we
// have come to. pion discards one that is not, as RFC 6347 §4.1.2.7 has it, and
// goes on waiting: whoever has a wrong key would keep a handshake for as long
// as it may take at all, and learn of it no earlier.
//
// Somebody else could so end a handshake only by a record of the right length,
// and the right connection id if there is one, between the peer's
// ClientKeyExchange and its Finished, which are one datagram mostly; and by a
// ClientKeyExchange of his own before it in any case.
type finish struct {
	id record.ID

	mu      sync.Mutex
	wrong   func()   // is called if it is not
	hello   exported // what the keys come of
	agreed  *record.Association
	early   []byte // what may be the Finished, before the keys are known
	decided bool
}

const (
	finishedLength = 12 + 12 // its header, and verify_data
	longestEarly   = 512     // octets, of a Finished with padding
)

// watch has wrong be called, once, if the Finished is not right.
func (f *finish) watch(wrong func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = wrong
}

// helloed is pion's hook, and notes what is agreed on.
func (f *finish) helloed(m handshake.MessageServerHello) handshake.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hello = exported{LocalEpoch: 1, RemoteEpoch: 1, LocalRandom: m.Random.MarshalFixed(), CipherSuiteID: *m.CipherSuiteID}
	for _, e := range m.Extensions {
		if c, ok := e.(*extension.ConnectionID); ok {
			f.hello.LocalConnectionID = c.CID
		}
	}
	return &m
}

// Write is what pion logs keys to. We alone ever see them.
func (f *finish) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var random []byte
	if _, err := fmt.Sscanf(string(line), "CLIENT_RANDOM %x %x", &random, &f.hello.MasterSecret); err != nil {
		return 0, err
	}
	copy(f.hello.RemoteRandom[:], random)
	agreed, err := f.hello.agreement(f.id)
	if err != nil {
		return 0, err
	}
	f.agreed = &agreed.Association
	if f.early != nil {
		f.judge(f.early)
	}
	return len(line), nil
}

// hear looks at a datagram that pion is about to get.
func (f *finish) hear(datagram []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(datagram) > 0 && !f.decided {
		r, rest, err := record.Next(datagram, record.IDLength)
		if err != nil {
			return
		}
		if f.maybe(r) {
			octets := bytes.Clone(datagram[:len(datagram)-len(rest)])
			if f.agreed != nil {
				f.judge(octets)
			} else if len(octets) <= longestEarly {
				f.early = octets
			}
		}
		datagram = rest
	}
}

// maybe reports whether r may be the Finished.
func (f *finish) maybe(r record.Record) bool {
	const explicitNonce = 8
	tag := len(r.Fragment) - explicitNonce - finishedLength
	switch {
	case r.Epoch != 1:
		return false
	case len(f.hello.LocalConnectionID) > 0: // with its type, and perhaps padding
		return r.Type == record.CID && bytes.Equal(r.CID, f.id[:]) && tag > 8
	}
	return r.Type == record.Handshake && (tag == 8 || tag == 16)
}

// judge decides by a record.
func (f *finish) judge(octets []byte) {
	f.decided, f.early = true, nil
	r, _, err := record.Next(octets, record.IDLength)
	if err == nil {
		_, err = f.agreed.Open(f.agreed.Ciphers(), r)
	}
	if err != nil {
		f.wrong()
	}
}

// refusal tells the peer, in a record of that number, that its key is a wrong
// one. RFC 4279 §2 has it be the same if the identity is unknown.
func refusal(sequence uint64) ([]byte, error) {
	r := recordlayer.RecordLayer{
		Header:  recordlayer.Header{Version: protocol.Version1_2, SequenceNumber: sequence},
		Content: &alert.Alert{Level: alert.Fatal, Description: alert.DecryptError},
	}
	return r.Marshal()
}
