package session

import (
	"time"

	"dormouse/mqttsn/bounds"
)

// Config is shared, read-only, by every session of a listener. Start from
// [DefaultConfig]: the zero Config is not valid.
type Config struct {
	// RetryInterval is how long to wait for an acknowledgement before sending
	// a packet again (T_RETRY, 1.2 §7.2). 1 s to 5 min; default 10 s.
	RetryInterval time.Duration

	// RetryJitter is by how much of RetryInterval at the most a packet is sent
	// again later than that, each client's at another time: those who lost
	// something at one moment do not all get it again at one moment, too. 0 to
	// 1; default 0.2.
	RetryJitter float64

	// MaxRetries is how often a packet is sent again (N_RETRY, 1.2 §7.2).
	// 0 to 20; default 4.
	MaxRetries int

	// NoDUP leaves the DUP flag of repeated PUBLISH packets clear, for clients
	// such as RIOT's emcute that reject packets that have it. Default false.
	NoDUP bool

	// CongestionWait is how long a client is left alone after it reported
	// congestion (T_WAIT, 1.2 §7.2). 1 s to 1 h; default 5 min.
	CongestionWait time.Duration

	// DialogueTimeout is how long a client may take over its CONNECT, will
	// dialogue included. 1 s to 10 min; default 60 s.
	DialogueTimeout time.Duration

	// MaxSleep caps how long a client may ask to sleep. 1 min to 24 h;
	// default 24 h, more than 1.2 can ask for.
	MaxSleep time.Duration

	// MaxPacket is the largest datagram, in octets, that is sent to a client;
	// messages that do not fit are dropped for it. 60 to 65535; default 1024.
	MaxPacket int

	// MaxClientID is the longest client id in octets. 23 to 255; default 255.
	MaxClientID int

	// MaxTopicLength is the longest topic name or filter in octets. 1 to
	// 65535; default 1024.
	MaxTopicLength int

	// MaxTopicLevels is the greatest number of levels of a topic name or
	// filter. 1 to 1024; default 32.
	MaxTopicLevels int

	// TopicIDs is how many topic ids one client may have. 1 to 65000;
	// default 1000.
	TopicIDs int

	// TopicOctets is how long the topic names that one client has ids for may
	// be together. 1024 to 16 Mi; default 96 Ki.
	TopicOctets int

	// RegistersPerMinute is how many new topic ids a client gets in a minute,
	// once it has had TopicIDs of them. 1 to 6000; default 60.
	RegistersPerMinute int

	// Predefined are the topics of predefined ids, 1 to 65534. In a topic,
	// {clientid} stands for the client's id and {identity} for Identity. Default
	// none.
	Predefined map[uint16]string

	// Identity is who the client has proved to be; see [Config.Of]. Default nobody.
	Identity string

	// QoSMinusOne lets clients publish at QoS -1 while they are connected.
	// Default false.
	QoSMinusOne bool
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		RetryInterval:      10 * time.Second,
		RetryJitter:        0.2,
		MaxRetries:         4,
		CongestionWait:     5 * time.Minute,
		DialogueTimeout:    time.Minute,
		MaxSleep:           24 * time.Hour,
		MaxPacket:          1024,
		MaxClientID:        255,
		MaxTopicLength:     1024,
		MaxTopicLevels:     32,
		TopicIDs:           1000,
		TopicOctets:        96 << 10,
		RegistersPerMinute: 60,
	}
}

// Validate reports everything wrong with c, not just the first thing.
func (c *Config) Validate() error {
	var b bounds.Checks
	b.Lasts("retry.interval", c.RetryInterval, time.Second, 5*time.Minute)
	b.Require(0 <= c.RetryJitter && c.RetryJitter <= 1, "retry.jitter is %v; it must be 0 to 1", c.RetryJitter)
	b.Between("retry.max", c.MaxRetries, 0, 20)
	b.Lasts("congestion_wait", c.CongestionWait, time.Second, time.Hour)
	b.Lasts("dialogue_timeout", c.DialogueTimeout, time.Second, 10*time.Minute)
	b.Lasts("max_sleep", c.MaxSleep, time.Minute, 24*time.Hour)
	b.Between("max_packet", c.MaxPacket, 60, 65535)
	b.Between("max_client_id", c.MaxClientID, 23, 255)
	b.Between("max_topic_length", c.MaxTopicLength, 1, 65535)
	b.Between("max_topic_levels", c.MaxTopicLevels, 1, 1024)
	b.Between("topic_ids.per_client", c.TopicIDs, 1, 65000)
	b.Between("topic_ids.octets", c.TopicOctets, 1024, 16<<20)
	b.Between("topic_ids.registers_per_minute", c.RegistersPerMinute, 1, 6000)
	for id, topic := range c.Predefined {
		b.Between("predefined.id", int(id), 1, 65534)
		b.Require(c.ValidName([]byte(fill(topic, "x", "x"))), "predefined topic %d is %q; it must be a topic name", id, topic)
	}
	return b.Err()
}
