package mqtt

import (
	"math"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/auth"
	"dormouse/mqttsn/bounds"
)

// Options configure a Server. Start from [DefaultOptions]: the zero Options
// is not valid. Topics, queues and subscriptions are bounded by core's own.
type Options struct {
	// Authenticate says as whom a client may connect, or why not: one of
	// core/auth's errors. It may take its time: only that client waits. It must
	// not keep the password. Default nil: everybody may.
	Authenticate func(auth.Credentials) (auth.Grant, error)

	// Stands says whether who has connected by a Grant may stay so. It is asked at
	// once, and again by [Server.Recheck]. Default nil: everybody may.
	Stands func(auth.Grant) bool

	// Log gets what an operator should see: no payloads, no secrets. Default:
	// nothing is logged.
	Log zerolog.Logger

	// Versions are the protocol levels spoken: 3 for MQTT 3.1, 4 for 3.1.1, 5.
	// At least one; default all.
	Versions []byte

	// MaxQoS is the highest quality of service granted and taken. 0 to 2, the
	// default.
	MaxQoS int

	// Retain, WildcardSubscriptions and SharedSubscriptions say whether clients
	// may have retained messages, filters with + and #, and $share. Default yes.
	Retain, WildcardSubscriptions, SharedSubscriptions bool

	// TopicAliasMaximum bounds the topics that one client may abbreviate, and
	// those that are abbreviated for it if it wants that. 0 to 65535; default 16.
	TopicAliasMaximum int

	// MaxFilters bounds the filters of one SUBSCRIBE or UNSUBSCRIBE. 1 to
	// 100,000; default 500, as many as Home Assistant sends.
	MaxFilters int

	// MaxUserProperties bounds the user properties of one packet; those of a
	// will count apart. 0 to 10,000; default 20.
	MaxUserProperties int

	// PublishRate bounds what one client publishes in each second: one that is
	// faster is read more slowly.
	PublishRate PublishRate

	// ConnectRate bounds the connections a second, those from loopback not
	// counted. 1/60 to 1,000,000; default 500.
	ConnectRate float64

	// MaxConnections bounds the connections, connected or not yet. 1 to
	// 10,000,000; default 100,000.
	MaxConnections int

	// MaxConnectionsPerIP bounds those of one IP address. 1 to 10,000,000;
	// default 1,000.
	MaxConnectionsPerIP int

	// ConnectTimeout is how long a connection may take to say CONNECT. 100 ms
	// to 5 min; default 5 s.
	ConnectTimeout time.Duration

	// PreConnectBytes is the longest CONNECT, in octets. 256 to 1 MiB; default
	// 16 KiB.
	PreConnectBytes int

	// MaxPacketSize is the longest packet of any other type, in octets. 256 to
	// 256 MiB; default 256 KiB.
	MaxPacketSize int

	// ReceiveMaximum bounds the unacknowledged messages from one client, and
	// its requests that core has not answered. 1 to 65535; default 64.
	ReceiveMaximum int

	// MaxKeepalive is the longest keep alive granted. An MQTT 5 client is told
	// if that is less than it asked for; any client is lost when it has been
	// silent for one and a half times what it was granted, but for one that
	// asked for none: TCP must find out about that. 1 s to 43690 s, which is
	// the default.
	MaxKeepalive time.Duration

	// MaxSessionExpiry is the longest that a session may outlive its
	// connection, and how long one of MQTT 3.1.1 does. 0 to 1 year; default
	// 168 h.
	MaxSessionExpiry time.Duration

	// WriteTimeout is how long a client may take to accept 16 KiB before it is
	// lost. 1 s to 10 min; default 30 s.
	WriteTimeout time.Duration
}

// A PublishRate is messages, and octets of their topics and payloads, in each
// second. Zero: any number, the default; at most 10,000,000 and 1 TiB.
type PublishRate struct{ Messages, Bytes int }

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{
		Log:                   zerolog.Nop(),
		Versions:              []byte{3, 4, 5},
		MaxQoS:                2,
		Retain:                true,
		WildcardSubscriptions: true,
		SharedSubscriptions:   true,
		TopicAliasMaximum:     16,
		MaxFilters:            500,
		MaxUserProperties:     20,
		ConnectRate:           500,
		MaxConnections:        100_000,
		MaxConnectionsPerIP:   1000,
		ConnectTimeout:        5 * time.Second,
		PreConnectBytes:       16 << 10,
		MaxPacketSize:         256 << 10,
		ReceiveMaximum:        64,
		MaxKeepalive:          43690 * time.Second,
		MaxSessionExpiry:      168 * time.Hour,
		WriteTimeout:          30 * time.Second,
	}
}

// Validate reports everything wrong with o, not just the first thing.
func (o *Options) Validate() error {
	var b bounds.Checks
	b.Require(len(o.Versions) > 0, "mqtt.versions is empty; name at least one")
	for _, v := range o.Versions {
		b.Between("mqtt.versions", int(v), 3, 5)
	}
	b.Between("mqtt.max_qos", o.MaxQoS, 0, 2)
	b.Between("mqtt.topic_alias_maximum", o.TopicAliasMaximum, 0, math.MaxUint16)
	b.Between("limits.max_filters_per_subscribe", o.MaxFilters, 1, 100_000)
	b.Between("limits.max_user_properties", o.MaxUserProperties, 0, 10_000)
	b.Between("limits.client_publish_rate.messages", o.PublishRate.Messages, 0, 10_000_000)
	b.Between("limits.client_publish_rate.bytes", o.PublishRate.Bytes, 0, 1<<40)
	b.Require(1.0/60 <= o.ConnectRate && o.ConnectRate <= 1_000_000,
		"limits.connect_rate is %v; it must be 1/m to 1000000/s", o.ConnectRate)
	b.Between("limits.max_connections", o.MaxConnections, 1, 10_000_000)
	b.Between("limits.max_connections_per_ip", o.MaxConnectionsPerIP, 1, 10_000_000)
	b.Lasts("limits.connect_timeout", o.ConnectTimeout, 100*time.Millisecond, 5*time.Minute)
	b.Between("limits.pre_connect_bytes", o.PreConnectBytes, 256, 1<<20)
	b.Between("limits.max_packet_size", o.MaxPacketSize, 256, 256<<20)
	b.Between("limits.receive_maximum", o.ReceiveMaximum, 1, math.MaxUint16)
	b.Lasts("mqtt.max_keepalive", o.MaxKeepalive, time.Second, 43690*time.Second)
	b.Lasts("mqtt.max_session_expiry", o.MaxSessionExpiry, 0, 365*24*time.Hour)
	b.Lasts("write timeout", o.WriteTimeout, time.Second, 10*time.Minute)
	return b.Err()
}
