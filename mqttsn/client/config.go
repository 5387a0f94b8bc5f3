package client

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/bounds"
)

// Config is shared, read-only, by any number of clients. Start from
// [DefaultConfig]: the zero Config is not valid.
type Config struct {
	// RetryInterval is how long to wait for an answer before sending a packet
	// again (T_RETRY, 1.2 §7.2). 100 ms to 5 min; default 10 s.
	RetryInterval time.Duration

	// MaxRetries is how often a packet is sent again before the gateway is
	// taken to be gone (N_RETRY, 1.2 §7.2). 0 to 20; default 3.
	MaxRetries int

	// Wait is for how long a request that the gateway refused for congestion
	// is not made again, but fails with ErrCongested (T_WAIT, 1.2 §7.2). 0 to
	// 1 h; 0 makes it again whenever its owner likes. Default 5 min.
	Wait time.Duration

	// MaxTopics is how many topic ids a client remembers. The oldest makes
	// room for the next. 1 to 65534; default 256.
	MaxTopics int

	// MaxName is the most octets a topic name may have. 0: as many as a
	// packet holds. Default 0.
	MaxName int

	// Quirks are what the client does otherwise than the specification says,
	// or not at all. Default none.
	Quirks Quirks
}

// DefaultConfig returns the defaults: a client that does all of the
// specification. Those of firmware in the field are Emcute, Paho and Zephyr.
func DefaultConfig() Config {
	return Config{RetryInterval: 10 * time.Second, MaxRetries: 3, Wait: 5 * time.Minute, MaxTopics: 256}
}

// Validate reports everything wrong with c, not just the first thing.
func (c *Config) Validate() error {
	var b bounds.Checks
	b.Require(100*time.Millisecond <= c.RetryInterval && c.RetryInterval <= 5*time.Minute,
		"retry interval is %v; it must be 100ms to 5m", c.RetryInterval)
	b.Require(0 <= c.MaxRetries && c.MaxRetries <= 20, "retries are %d; they must be 0 to 20", c.MaxRetries)
	b.Require(0 <= c.Wait && c.Wait <= time.Hour, "wait is %v; it must be 0 to 1h", c.Wait)
	b.Require(1 <= c.MaxTopics && c.MaxTopics <= 65534, "topics are %d; they must be 1 to 65534", c.MaxTopics)
	b.Require(c.MaxName >= 0, "the longest name is %d; it must be 0 or more", c.MaxName)
	b.Require(c.Quirks&^allQuirks == 0, "quirks are %#x, of which %#x are unknown", c.Quirks, c.Quirks&^allQuirks)
	return b.Err()
}

// A Session is what CONNECT asks for, 1.2 §5.4.4.
type Session struct {
	ClientID     string        // 1 to 23 octets by the specification; many gateways take more
	KeepAlive    time.Duration // whole seconds up to 65535; zero: no supervision
	CleanSession bool          // forget subscriptions, before and after
	Will         *Will         // nil: none, or the one that a kept session has
}

// A Will is what the gateway publishes for a client that is lost. A client
// that gives an empty Topic deletes the will its session has.
type Will struct {
	Topic   string
	Payload []byte
	QoS     mqttsn.QoS
	Retain  bool
}
