package handshake

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/gob"
	"errors"
	"fmt"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/prf"

	"dormouse/mqttsn/transport/dtls/record"
)

// An Agreement is what a handshake came to.
type Agreement struct {
	Association record.Association

	PSKIdentity []byte            // nil without a pre-shared key
	Certificate *x509.Certificate // the peer's, verified; nil if it was not asked for one

	// Chain is from Certificate to an authority.
	Chain []*x509.Certificate
}

// firstSent is the number that an association seals its first record with. What
// pion has sealed, and its repeats of the last flight will, is below: see
// maxRepeats.
const firstSent = 1 << 10

// exported is what pion's State.MarshalBinary writes, as far as we need it. gob
// goes by the names of the fields.
type exported struct {
	LocalEpoch, RemoteEpoch   uint16
	LocalRandom, RemoteRandom [32]byte
	CipherSuiteID             uint16
	MasterSecret              []byte
	SequenceNumber            uint64
	PeerCertificates          [][]byte
	IdentityHint              []byte
	LocalConnectionID         []byte
	RemoteConnectionID        []byte
	IsClient                  bool
}

var errAgreement = errors.New("handshake: pion has agreed on something that was not offered")

// agreementOf reads the keys and the rest out of a connection whose handshake
// is done. id is the connection id that was offered.
func agreementOf(c *piondtls.Conn, id record.ID) (*Agreement, error) {
	state, ok := c.ConnectionState()
	if !ok {
		return nil, errors.New("handshake: pion has no state")
	}
	b, err := state.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var x exported
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&x); err != nil {
		return nil, err
	}
	return x.agreement(id)
}

func (x *exported) agreement(id record.ID) (*Agreement, error) {
	a := record.Association{ID: id, Sent: firstSent, Reserved: firstSent, HasCID: len(x.LocalConnectionID) > 0}
	agreed := &Agreement{}
	switch piondtls.CipherSuiteID(x.CipherSuiteID) {
	case piondtls.TLS_PSK_WITH_AES_128_CCM_8:
		a.Suite = record.CCM8
		agreed.PSKIdentity = append([]byte{}, x.IdentityHint...)
	case piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8:
		a.Suite = record.CCM8
	case piondtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		a.Suite = record.GCM
	default:
		return nil, errAgreement
	}
	if x.LocalEpoch != 1 || x.RemoteEpoch != 1 || x.SequenceNumber >= firstSent ||
		a.HasCID && !bytes.Equal(x.LocalConnectionID, id[:]) {
		return nil, errAgreement
	}
	if len(x.RemoteConnectionID) > record.MaxPeerCID {
		return nil, fmt.Errorf("handshake: the peer wants a connection id of %d octets; at most %d are kept", len(x.RemoteConnectionID), record.MaxPeerCID)
	}
	a.PeerCIDLen = uint8(copy(a.PeerCID[:], x.RemoteConnectionID))

	// All of the suites have SHA-256, no MAC key and an IV of 4 octets.
	client, server := x.RemoteRandom, x.LocalRandom
	if x.IsClient {
		client, server = server, client
	}
	k, err := prf.GenerateEncryptionKeys(x.MasterSecret, client[:], server[:], 0, len(a.Read), len(a.ReadIV), sha256.New)
	if err != nil {
		return nil, err
	}
	copy(a.Read[:], k.ClientWriteKey)
	copy(a.Write[:], k.ServerWriteKey)
	copy(a.ReadIV[:], k.ClientWriteIV)
	copy(a.WriteIV[:], k.ServerWriteIV)
	if x.IsClient {
		a.Read, a.Write, a.ReadIV, a.WriteIV = a.Write, a.Read, a.WriteIV, a.ReadIV
		a.Reserved = a.Suite.Limit() // nothing of it outlives the process
	}
	if agreed.PSKIdentity == nil && len(x.PeerCertificates) > 0 {
		if agreed.Certificate, err = x509.ParseCertificate(x.PeerCertificates[0]); err != nil {
			return nil, err
		}
	}
	agreed.Association = a
	return agreed, nil
}
