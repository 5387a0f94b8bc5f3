// Package handshake agrees on the keys of an association: it has pion do the
// handshake of DTLS 1.2, and takes the keys out of it.
//
// A handshake in progress costs some 45 KB and four goroutines, and none begins
// before the peer has sent back a cookie, for which nothing is kept; who may
// have one then is for the caller to decide. When it is done, the caller has
// time to put the association where its records will find it, and only then is
// the last flight sent. pion is kept a while after that: if the flight is lost,
// the peer repeats its own, and pion answers with it again.
package handshake

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	piondtls "github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"dormouse/mqttsn/transport/dtls/record"
)

// MTU is the length in octets of the longest datagram of a handshake.
const MTU = 1200

// A Handshake is one in progress, or done and not forgotten. Its methods are
// safe for concurrent use.
type Handshake struct {
	id   record.ID
	conn *conn
	pion *piondtls.Conn

	chain []*x509.Certificate // of the peer, once pion has verified it
	named atomic.Value        // string: the identity that the peer has a key of, it says
}

// longestNamed is how much of an identity an error has, in octets.
const longestNamed = 64

// quiet has pion log nothing: whatever it has to say comes from strangers.
var quiet = func() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}()

// New prepares a handshake with the peer at an address, whose ClientHello has a
// cookie that fits. id is the connection id that is offered. send gets each
// datagram for the peer, which is its own only until it returns.
func New(c *Credentials, hello *Hello, id record.ID, peer netip.AddrPort, send func([]byte)) (*Handshake, error) {
	conn, finish := newConn(peer, send), &finish{id: id}
	h := &Handshake{id: id, conn: conn}
	options := append(c.options(),
		piondtls.WithConnectionIDGenerator(func() []byte { return id[:] }),
		piondtls.WithServerHelloMessageHook(finish.helloed),
		piondtls.WithKeyLogWriter(finish),
		piondtls.WithVerifyPeerCertificate(func(_ [][]byte, chains [][]*x509.Certificate) error {
			if len(chains) > 0 {
				h.chain = chains[0]
			}
			return nil
		}),
		piondtls.WithMTU(MTU),
		piondtls.WithLoggerFactory(quiet))
	if c.PSK != nil {
		options = append(options, piondtls.WithPSK(func(identity []byte) ([]byte, error) {
			h.named.Store(string(identity[:min(len(identity), longestNamed)]))
			return c.psk(identity)
		}))
	}
	pion, err := piondtls.ServerWithOptions(conn, conn.peer, options...)
	if err != nil {
		return nil, err
	}
	h.pion = pion
	return h, conn.greet(hello, pion, finish)
}

// Run does the handshake, and returns what it came to. The peer does not know
// yet: see Release. After an error the handshake is of no use.
func (h *Handshake) Run(ctx context.Context, within time.Duration) (*Agreement, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	h.conn.finish.watch(func() { end(ErrKey) })
	if err := h.pion.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // pion's own may be of what it led to
		}
		if errors.Is(err, ErrKey) {
			h.conn.refuse()
			if name := h.named.Load(); name != nil {
				err = fmt.Errorf("%w: it says that it is %q", err, name)
			}
		}
		h.Forget()
		return nil, err
	}
	agreed, err := agreementOf(h.pion, h.id)
	if err != nil {
		h.Forget()
		return nil, err
	}
	agreed.Chain = h.chain
	return agreed, nil
}

// Deliver takes in a datagram of the peer. It keeps nothing of b. False means
// that the peer has sent more than it may, and is to be forgotten.
func (h *Handshake) Deliver(b []byte) bool { return h.conn.deliver(b) }

// Release sends the last flight, and repeats it when the peer does.
func (h *Handshake) Release() { h.conn.release() }

// Forget ends the handshake, done or not, without a word to the peer.
func (h *Handshake) Forget() {
	h.conn.forget()
	h.pion.Close()
}
