package gateway

import (
	"net/netip"
	"time"

	"dormouse/mqttsn/bounds"
	"dormouse/mqttsn/session"
)

// Config configures a Gateway. Start from [DefaultConfig]: the zero Config is
// not valid. It is read-only once the gateway has been made. The names in the
// errors of Validate are the operator's.
type Config struct {
	// Listener names the gateway's transport in access rules and logs.
	Listener string

	// Session is what all sessions share. Its QoSMinusOne is set by the
	// gateway, as QoSMinusOne below says.
	Session session.Config

	// Shards is how many goroutines share the sessions. 1 to 256; default 1.
	Shards int

	// GatewayID is the GwId of ADVERTISE and GWINFO. 1 to 255; default 1.
	GatewayID uint8

	// Advertise is how the gateway makes itself known, unasked.
	Advertise Advertise

	// Search is how the gateway answers who looks for one.
	Search Search

	// Forwarders are the networks that may wrap packets of others. Default
	// none.
	Forwarders []netip.Prefix

	// QoSMinusOne is who may publish without a connection, and what.
	QoSMinusOne QoSMinusOne

	// AddressMigration is whether a sleeping client may wake at another
	// address. Default Authenticated.
	AddressMigration Migration

	// Strangers bounds what senders without a session can draw from us.
	Strangers Strangers

	// PublishRate bounds each client. Default: any number.
	PublishRate PublishRate

	// MaxSessions bounds the virtual connections, sleeping or not. 1 to
	// 100,000,000; default 1,000,000.
	MaxSessions int

	// MaxDialogues bounds those of them that are not accepted yet. 1 to
	// 1,000,000; default 10,000.
	MaxDialogues int

	// Seed salts the hashes by which strangers share limits. Set it at random,
	// so that nobody can tell whose share he uses up; a test leaves it alone.
	Seed uint64

	// Wall tells the time of day, for what outlives the process. Default
	// time.Now.
	Wall func() time.Time

	// Log is told what an operator may want to see, each kind at most a
	// hundred times a second. It is called from the shards and must not block.
	// Default nil: nothing.
	Log func(Notice)
}

// Advertise is when and where ADVERTISE goes, 1.2 §6.1.
type Advertise struct {
	Interval  time.Duration    // T_ADV: whole seconds, 1 s to 65535 s; default 15 min
	Addresses []netip.AddrPort // broadcast or multicast; none: no ADVERTISE. Default none
}

// Search is who gets GWINFO, 1.2 §6.1.
type Search struct {
	Answer bool           // default true
	Allow  []netip.Prefix // who is answered; default none
	Rate   float64        // answers per second, to all together; above 0; default 20
}

// QoSMinusOne is the policy for PUBLISH at QoS -1, 1.2 §6.8, be the sender
// connected or not.
type QoSMinusOne struct {
	From          From
	Topics        []uint16 // predefined ids that may be published to; empty: any topic, also by name
	RatePerSource float64  // messages per second from one address; above 0; default 5
	Rate          float64  // messages per second from all; above 0; default 5000
}

// From says from where something is allowed.
type From uint8

const (
	Nowhere From = iota
	Loopback
	Anywhere
)

// Migration says who may wake at another address than the one where it fell
// asleep (A9), and who may connect from another.
type Migration uint8

const (
	Never         Migration = iota // nobody, nor connect from another host while the client is connected
	Authenticated                  // whose transport proves who it is; plain UDP does not
	Always                         // everybody: whoever knows a client id can take its messages
)

// Strangers bounds the answers to those without a session, CONNACK included.
type Strangers struct {
	ResponsesPerPrefix float64 // per second, to one network; above 0; default 50
	PrefixV4           int     // what a network is, in bits; 8 to 32; default 24
	PrefixV6           int     // 16 to 128; default 56

	// Connects is how many strangers may connect per second, all together; no
	// more of them are heard. Above 0; default 500.
	Connects float64

	// Exempt are the networks for which none of this holds, but it does for
	// nodes behind a forwarder there. Default loopback, where nobody elsewhere
	// can pretend to be.
	Exempt []netip.Prefix
}

// A PublishRate is how fast one client may publish at QoS 0 to 2: so many
// messages, and octets of payload, per second, and as many at once. Beyond it
// the gateway is deaf: QoS 0 is lost, and the others come again. 0: any number.
type PublishRate struct{ Messages, Octets int }

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Listener:         "mqttsn",
		Session:          session.DefaultConfig(),
		Shards:           1,
		GatewayID:        1,
		Advertise:        Advertise{Interval: 15 * time.Minute},
		Search:           Search{Answer: true, Rate: 20},
		QoSMinusOne:      QoSMinusOne{RatePerSource: 5, Rate: 5000},
		AddressMigration: Authenticated,
		Strangers: Strangers{ResponsesPerPrefix: 50, PrefixV4: 24, PrefixV6: 56, Connects: 500,
			Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		MaxSessions:  1_000_000,
		MaxDialogues: 10_000,
		Wall:         time.Now,
	}
}

// Validate reports everything wrong with c, not just the first thing.
func (c *Config) Validate() error {
	b := bounds.Checks{c.Session.Validate()}
	b.Between("shards", c.Shards, 1, 256)
	b.Require(c.Wall != nil, "there is no Wall")
	b.Between("mqttsn.gateway_id", int(c.GatewayID), 1, 255)
	const longest = 65535 * time.Second
	t := c.Advertise.Interval
	b.Require(time.Second <= t && t <= longest && t%time.Second == 0,
		"mqttsn.advertise.interval is %v; it must be 1s to 65535s, in whole seconds", t)
	for _, a := range c.Advertise.Addresses {
		b.Require(a.IsValid() && a.Port() != 0, "mqttsn.advertise.addresses has %v; it must be an address and a port", a)
	}
	b.Rate("mqttsn.search.rate", c.Search.Rate)
	b.Require(c.QoSMinusOne.From <= Anywhere, "mqttsn.qos_minus_one.enabled is unknown")
	b.Rate("mqttsn.qos_minus_one.rate_per_source", c.QoSMinusOne.RatePerSource)
	b.Rate("mqttsn.qos_minus_one.rate", c.QoSMinusOne.Rate)
	b.Require(c.AddressMigration <= Always, "mqttsn.address_migration is unknown")
	b.Rate("limits.unauthenticated_udp.responses_per_prefix", c.Strangers.ResponsesPerPrefix)
	b.Between("limits.unauthenticated_udp.prefix_v4", c.Strangers.PrefixV4, 8, 32)
	b.Between("limits.unauthenticated_udp.prefix_v6", c.Strangers.PrefixV6, 16, 128)
	b.Rate("limits.connect_rate", c.Strangers.Connects)
	b.Between("limits.client_publish_rate.messages", c.PublishRate.Messages, 0, 10_000_000)
	b.Between("limits.client_publish_rate.bytes", c.PublishRate.Octets, 0, 1<<40)
	b.Between("limits.max_sessions", c.MaxSessions, 1, 100_000_000)
	b.Between("limits.max_dialogues", c.MaxDialogues, 1, 1_000_000)
	return b.Err()
}
