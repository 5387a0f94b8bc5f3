package handshake

import (
	"context"
	"net/netip"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport/dtls/record"
)

// A Call is a handshake that we begin, with a gateway, for those who have many
// associations and no socket for each. Its methods are safe for concurrent use.
type Call struct {
	conn *conn
	pion *piondtls.Conn
}

// Begin prepares a handshake with the gateway at an address. send gets each
// datagram for it, which is its own only until it returns.
func (p *Proof) Begin(gateway netip.AddrPort, send func([]byte)) (*Call, error) {
	c := &Call{conn: newConn(gateway, send)}
	c.conn.holding = false
	pion, err := piondtls.ClientWithOptions(c.conn, c.conn.peer, p.options()...)
	if err != nil {
		return nil, err
	}
	c.pion = pion
	return c, nil
}

// Run does the handshake, and returns the association that it came to. The last
// flight is the gateway's: nothing is owed, and pion is let go.
func (c *Call) Run(ctx context.Context, within time.Duration) (*record.Association, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	defer func() {
		c.conn.forget()
		c.pion.Close()
	}()
	if err := c.pion.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // pion's own may be of what it led to
		}
		return nil, err
	}
	agreed, err := agreementOf(c.pion, record.ID{})
	if err != nil {
		return nil, err
	}
	return &agreed.Association, nil
}

// Deliver takes in a datagram of the gateway. It keeps nothing of b.
func (c *Call) Deliver(b []byte) { c.conn.deliver(b) }
