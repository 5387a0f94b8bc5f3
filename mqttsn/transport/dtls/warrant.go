package dtls

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
)

// This file is what an association rests on: if that is gone, so is it.

// A warrant is what one rests on that was agreed on by certificates: who has
// vouched for the peer, and until when in seconds of Unix time. One of a
// pre-shared key has none: there is the key.
type warrant struct {
	authority [sha256.Size]byte
	until     int64
}

// warrantOf is that of a chain of certificates, which are to be valid all of
// them, as far as the one that is trusted.
func warrantOf(chain []*x509.Certificate) warrant {
	w := warrant{until: math.MaxInt64}
	for _, c := range chain {
		w.until = min(w.until, c.NotAfter.Unix())
		w.authority = authorityOf(c)
	}
	return w
}

// authorityOf is what stays the same of one when its certificate is renewed: a
// hash of its name and its key.
func authorityOf(c *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(nil), c.RawSubject...), c.RawSubjectPublicKeyInfo...))
}

// Warrants are those of associations, by their numbers.
type warrants struct {
	mu       sync.Mutex
	byNumber map[uint32]warrant
}

func (w *warrants) of(number uint32) warrant {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byNumber[number]
}

func (w *warrants) set(number uint32, is warrant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byNumber == nil {
		w.byNumber = make(map[uint32]warrant)
	}
	w.byNumber[number] = is
}

func (w *warrants) drop(number uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byNumber, number)
}

// A basis is the credentials as what associations rest on.
type basis struct {
	*handshake.Credentials
	authorities map[[sha256.Size]byte]bool
}

func newBasis(c *handshake.Credentials) *basis {
	b := &basis{c, make(map[[sha256.Size]byte]bool)}
	for _, c := range c.Authorities {
		b.authorities[authorityOf(c)] = true
	}
	return b
}

// on returns what an association of that proof and name rests on, and whether it
// could be agreed on now.
func (b *basis) on(proof transport.Proof, name string, w warrant) (what []byte, stands bool) {
	switch proof {
	case transport.ByKey:
		if b.PSK == nil {
			return nil, false
		}
		return b.PSK([]byte(name))
	case transport.ByCertificate:
		return w.authority[:], b.Certificate != nil && b.authorities[w.authority] && time.Now().Unix() < w.until
	default:
		return nil, b.Certificate != nil && len(b.authorities) == 0
	}
}

// recheck ends those of these associations that rest on what is another after
// the credentials have changed, or is no more.
func (l *Listener) recheck(before, after *basis, these func(*association) bool) {
	l.endThose(Rechecked, func(a *association, name string) bool {
		if !these(a) {
			return false
		}
		var w warrant
		if a.proof == transport.ByCertificate {
			w = l.warrants.of(a.number)
		}
		was, _ := before.on(a.proof, name, w)
		is, stands := after.on(a.proof, name, w)
		return !stands || !hmac.Equal(was, is)
	})
}

// expired ends those of a part whose certificates have.
func (l *Listener) expired(p *part) {
	now := time.Now().Unix()
	l.endThoseOf(p, Expired, func(a *association, _ string) bool {
		return a.proof == transport.ByCertificate && l.warrants.of(a.number).until <= now
	})
}

// markLength is the length in octets of a mark.
const markLength = 16

// mark is kept with an association that rests on something, so that it does not
// stand any more if that, or what is kept, has become another when nobody was
// looking. made is all that is kept for good, but for the mark.
func (l *Listener) mark(id record.ID, made, on []byte) []byte {
	mac := hmac.New(sha256.New, l.cfg.Secret)
	mac.Write(id[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(on))))
	mac.Write(on)
	mac.Write(made)
	return mac.Sum(nil)[:markLength]
}
