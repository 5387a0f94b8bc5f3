package client

import (
	"errors"
	"fmt"
	"time"

	"dormouse/mqttsn"
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

	// MaxTopics is how many topic ids a client remembers. The oldest makes
	// room for the next. 1 to 65534; default 256.
	MaxTopics int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{RetryInterval: 10 * time.Second, MaxRetries: 3, MaxTopics: 256}
}

// Validate reports everything wrong with c, not just the first thing.
func (c *Config) Validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(100*time.Millisecond <= c.RetryInterval && c.RetryInterval <= 5*time.Minute,
		"retry interval is %v; it must be 100ms to 5m", c.RetryInterval)
	require(0 <= c.MaxRetries && c.MaxRetries <= 20, "retries are %d; they must be 0 to 20", c.MaxRetries)
	require(1 <= c.MaxTopics && c.MaxTopics <= 65534, "topics are %d; they must be 1 to 65534", c.MaxTopics)
	return errors.Join(errs...)
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
