package dtls

import (
	"crypto/x509"
	"net/netip"
	"time"

	"dormouse/mqttsn/bounds"
	"dormouse/mqttsn/clock"
)

// Config configures a Listener. Start from [DefaultConfig]: the zero Config is
// not valid. The names in the errors of Validate are the operator's.
type Config struct {
	// MaxHandshakes bounds those in progress, each of which costs some 45 KB, with
	// peers that have shown that they are where they say. The oldest goes when
	// another comes. 4 to 100,000; default 2000.
	MaxHandshakes int

	// HandshakesPerPrefix bounds those of one network, of which the oldest goes,
	// too. 1 to 100,000; default 64. It does not hold on loopback.
	HandshakesPerPrefix int

	// Rate is how many handshakes may begin in a second, and RatePerPrefix how
	// many of one network; more are not heard. Networks with which one has failed
	// within a minute share half of Rate, and each host with which one has gets an
	// eighth of RatePerPrefix. Above 0; default 500 and 50. They do not hold on
	// loopback.
	Rate, RatePerPrefix float64

	// PrefixV4 and PrefixV6 are what a network is, in bits. 8 to 32, default 24;
	// 16 to 128, default 56.
	PrefixV4, PrefixV6 int

	// HandshakeTimeout is how long one may take, and how long after that the
	// last flight is repeated for a peer that has lost it. 1 s to 5 min; default
	// 20 s.
	HandshakeTimeout time.Duration

	// MaxAssociations bounds what handshakes come to. The longest silent goes when
	// another comes, unless it was heard within a minute: then that is refused. 1
	// to 100,000,000; default 1,000,000.
	MaxAssociations int

	// Idle is after which silence an association ends: longer than any sensor
	// sleeps. 1 min to 10 years; default 7 days.
	Idle time.Duration

	// Stay has peers stay at the address of their handshake: records of theirs
	// from elsewhere are dropped. Default false: a peer is where its newest
	// record came from.
	Stay bool

	// Name is the identity that a certificate, which has been verified, stands
	// for. Empty: none, and the handshake fails. Default CommonName.
	Name func(*x509.Certificate) string

	// Failed is told of the handshakes that peers have let fail: from where, and
	// why. It may be called often, and must not block. Nil: nobody is.
	Failed func(from netip.AddrPort, why error)

	// Keeper makes associations outlive the process. Nil: they end with it.
	Keeper Keeper

	// Secret is what nobody else knows, and is to be the same as long as anything
	// is kept: those kept under another are forgotten. Empty: one for now.
	Secret []byte

	// Seed salts the hashes by which strangers share limits. Set it at random.
	Seed uint64

	// Clock tells the time. Default clock.Now.
	Clock func() clock.Time
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxHandshakes:       2000,
		HandshakesPerPrefix: 64,
		Rate:                500,
		RatePerPrefix:       50,
		PrefixV4:            24,
		PrefixV6:            56,
		HandshakeTimeout:    20 * time.Second,
		MaxAssociations:     1_000_000,
		Idle:                7 * 24 * time.Hour,
		Name:                CommonName,
		Clock:               clock.Now,
	}
}

// CommonName is the CN of a certificate's subject.
func CommonName(c *x509.Certificate) string { return c.Subject.CommonName }

// Validate reports everything wrong with c, not just the first thing.
func (c *Config) Validate() error {
	var b bounds.Checks
	b.Between("dtls.max_handshakes", c.MaxHandshakes, 4, 100_000)
	b.Between("dtls.handshakes_per_prefix", c.HandshakesPerPrefix, 1, 100_000)
	b.Rate("dtls.handshake_rate", c.Rate)
	b.Rate("dtls.handshake_rate_per_prefix", c.RatePerPrefix)
	b.Between("limits.unauthenticated_udp.prefix_v4", c.PrefixV4, 8, 32)
	b.Between("limits.unauthenticated_udp.prefix_v6", c.PrefixV6, 16, 128)
	b.Require(time.Second <= c.HandshakeTimeout && c.HandshakeTimeout <= 5*time.Minute,
		"dtls.handshake_timeout is %v; it must be 1s to 5m", c.HandshakeTimeout)
	b.Between("dtls.max_associations", c.MaxAssociations, 1, 100_000_000)
	b.Require(time.Minute <= c.Idle && c.Idle <= 10*365*24*time.Hour,
		"dtls.idle_timeout is %v; it must be 1m to 10 years", c.Idle)
	b.Require(c.Name != nil, "there is no Name")
	b.Require(c.Clock != nil, "there is no Clock")
	return b.Err()
}
