// Package config is everything an operator can set. It reads YAML strictly:
// what it does not know it refuses, saying where and what to do. [Default]
// needs no file at all; [Load] overlays a file and "--set" upon it.
package config

import (
	"net/netip"
	"time"
)

// A Config is the whole configuration. Start from [Default]: the zero Config
// is not valid. It is read-only once the broker has started.
//
// The comments, tags and defaults of these types are the documentation that
// configs/reference.yaml shows; a test writes it.
type Config struct {
	// Version of this configuration's own shape.
	Version int `yaml:"version" min:"1" max:"1"`

	// Who this broker is among others.
	Node Node `yaml:"node"`

	// Where it listens. A list in a file replaces this one.
	Listeners []Listener `yaml:"listeners"`

	// The MQTT side.
	MQTT MQTT `yaml:"mqtt"`

	// The MQTT-SN side.
	MQTTSN MQTTSN `yaml:"mqttsn"`

	// Bounds on what clients can make the broker do and keep.
	Limits Limits `yaml:"limits"`

	// Who may connect.
	Auth Auth `yaml:"auth"`

	// Where operators look and act: figures, health, "dormouse clients".
	Admin Admin `yaml:"admin"`

	// What it says about itself on standard error.
	Log Log `yaml:"log"`

	// The figures published under $SYS/broker/.
	SysTopics SysTopics `yaml:"sys_topics"`
}

// A Node names a broker.
type Node struct {
	// Name of this broker in logs. Empty: the host's name.
	ID string `yaml:"id"`
}

// A Listener is one address that clients come to.
type Listener struct {
	// Name in logs and in "--set listeners.NAME.address=…". Unique.
	Name string `yaml:"name"`

	// What is spoken there: MQTT over TCP, TLS, WebSocket or WebSocket over
	// TLS, or MQTT-SN.
	Type string `yaml:"type" oneof:"tcp,tls,ws,wss,mqttsn-udp"`

	// IP address and port; without an address, all of the machine's. Port 0
	// lets the system choose.
	Address Address `yaml:"address"`

	// "insecure" lets in without a name whoever reaches the port, to publish and
	// read everything. Must be spelled out for a listener beyond loopback, but
	// for MQTT where auth.providers knows the clients.
	Security string `yaml:"security" oneof:",insecure"`

	// Certificates of tls and wss.
	TLS TLS `yaml:"tls"`

	// Where ws and wss are, and from which web pages a browser may connect, such
	// as https://example.org. "*": from any. Those of the same host and port may,
	// too, but on loopback only as localhost or by address.
	Path           string   `yaml:"path"`
	AllowedOrigins []string `yaml:"allowed_origins"`

	// Sockets that share an mqttsn-udp address (SO_REUSEPORT). 0: one per core.
	Sockets int `yaml:"sockets" min:"0" max:"256"`

	// What the kernel may hold for each socket of mqttsn-udp.
	RecvBuffer Bytes `yaml:"recv_buffer" min:"64KiB" max:"1GiB"`
}

// Network is what the address belongs to: "tcp" or "udp".
func (l *Listener) Network() string {
	if l.Type == "mqttsn-udp" {
		return "udp"
	}
	return "tcp"
}

// setDefaults is where a listener of a file starts.
func (l *Listener) setDefaults() {
	l.RecvBuffer = 8 * MiB
	l.Path = "/mqtt"
	l.TLS = TLS{ClientAuth: "none", MinVersion: "1.2"}
}

// TLS says who we are and whom we believe. Its files are read again on SIGHUP.
type TLS struct {
	// The certificate with its chain, and its key, in PEM.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	// The authorities that vouch for clients, in PEM.
	ClientCAFile string `yaml:"client_ca_file"`

	// Whether clients show a certificate: "request" verifies one that is shown,
	// "require" turns away who shows none.
	ClientAuth string `yaml:"client_auth" oneof:"none,request,require"`

	// The oldest version spoken.
	MinVersion string `yaml:"min_version" oneof:"1.2,1.3"`
}

// MQTT is what the MQTT edge grants. MQTT 5 clients are told of what is less
// than the protocol offers.
type MQTT struct {
	// Which versions are spoken.
	Versions []string `yaml:"versions" oneof:"3.1,3.1.1,5"`

	// Highest quality of service granted, and taken from publishers.
	MaxQoS int `yaml:"max_qos" min:"0" max:"2"`

	// Longest keep alive granted; a longer one is cut to it.
	MaxKeepalive Duration `yaml:"max_keepalive" min:"1s" max:"43690s"`

	// Longest time a session may outlive its connection.
	MaxSessionExpiry Duration `yaml:"max_session_expiry" min:"0s" max:"8760h"`

	// How many topics a client may abbreviate when it publishes, and how many
	// are abbreviated for it if it wants that.
	TopicAliasMaximum int `yaml:"topic_alias_maximum" min:"0" max:"65535"`

	// Whether there are retained messages, filters with + and #, and $share.
	Retain                bool `yaml:"retain"`
	WildcardSubscriptions bool `yaml:"wildcard_subscriptions"`
	SharedSubscriptions   bool `yaml:"shared_subscriptions"`
}

// MQTTSN is what the MQTT-SN gateway does.
type MQTTSN struct {
	// GwId in ADVERTISE and GWINFO. Unique among the gateways in reach.
	GatewayID int `yaml:"gateway_id" min:"1" max:"255"`

	// ADVERTISE, sent unasked.
	Advertise Advertise `yaml:"advertise"`

	// SEARCHGW and its answer.
	Search Search `yaml:"search"`

	// Who gets an answer to SEARCHGW: loopback, link-local, private, any, or
	// prefixes such as 192.0.2.0/24.
	SearchAllow []Network `yaml:"search_allow"`

	// What is not acknowledged is sent again: Tretry and Nretry.
	Retry Retry `yaml:"retry"`

	// Longest sleep granted; a longer one is cut to it.
	MaxSleep Duration `yaml:"max_sleep" min:"1m" max:"24h"`

	// How long a session with CleanSession=0 outlives its connection.
	SessionExpiry Duration `yaml:"session_expiry" min:"1m" max:"8760h"`

	// Topic ids a client may have, and how fast it may register them.
	TopicIDs TopicIDs `yaml:"topic_ids"`

	// Topic ids that every client knows without REGISTER, such as
	// {id: 1, topic: alarm}. {clientid} in a topic is replaced.
	Predefined []Predefined `yaml:"predefined"`

	// PUBLISH at QoS -1: without a connection.
	QoSMinusOne QoSMinusOne `yaml:"qos_minus_one"`

	// Whether a sleeping client may wake at a new address by a bare PINGREQ.
	// "authenticated" asks plain UDP clients to connect again; "always" lets
	// anyone who knows a client id take its messages.
	AddressMigration string `yaml:"address_migration" oneof:"never,authenticated,always"`

	// Who may wrap packets of other nodes (forwarder encapsulation).
	Forwarders []Network `yaml:"forwarders"`

	// Multicast groups to hear discovery on.
	Multicast Multicast `yaml:"multicast"`

	// Longest datagram taken in or sent, in octets.
	MaxPacket int `yaml:"max_packet" min:"64" max:"65507"`
}

// Advertise is how the gateway makes itself known.
type Advertise struct {
	// Needs addresses.
	Enabled bool `yaml:"enabled"`

	// Time between two of them, also told to clients: Tadv.
	Interval Duration `yaml:"interval" min:"1s" max:"65535s"`

	// Broadcast or multicast targets with port, such as 225.1.1.1:1884.
	Addresses []netip.AddrPort `yaml:"addresses"`
}

// Search is how the gateway answers who looks for one.
type Search struct {
	// Whether to answer at all.
	Answer bool `yaml:"answer"`

	// How far our own multicast may travel, in hops.
	HopLimit int `yaml:"hop_limit" min:"0" max:"255"`

	// Most answers, to everyone together.
	Rate Rate `yaml:"rate" min:"1/m" max:"1000000/s"`
}

// Retry is when and how often to send again.
type Retry struct {
	// Time until the first repetition.
	Interval Duration `yaml:"interval" min:"1s" max:"5m"`

	// Repetitions before the client is taken for lost.
	Max int `yaml:"max" min:"0" max:"10"`
}

// TopicIDs bounds registration.
type TopicIDs struct {
	// Most topic ids per client.
	PerClient int `yaml:"per_client" min:"1" max:"65000"`

	// How many a client may ask for per minute. It may ask for per_client of
	// them at once, and then has to wait.
	RegistersPerMinute int `yaml:"registers_per_minute" min:"1" max:"6000"`
}

// Predefined gives a topic an id.
type Predefined struct {
	// 1 to 65534.
	ID int `yaml:"id" min:"1" max:"65534"`

	// The topic's name.
	Topic string `yaml:"topic"`
}

// QoSMinusOne is the policy for publishing without a connection.
type QoSMinusOne struct {
	// Who may: "loopback", everyone ("true") or no one ("false").
	Enabled string `yaml:"enabled" oneof:"loopback,true,false"`

	// Predefined topic ids that may be published to. Empty: any topic.
	Topics []int `yaml:"topics" min:"1" max:"65534"`

	// Most from one source address, and from all.
	RatePerSource Rate `yaml:"rate_per_source" min:"1/m" max:"1000000/s"`
	Rate          Rate `yaml:"rate" min:"1/m" max:"1000000/s"`
}

// Multicast is where discovery is heard.
type Multicast struct {
	// Group addresses, such as 225.1.1.1 or ff02::1.
	Groups []netip.Addr `yaml:"groups"`

	// The groups' port.
	Port int `yaml:"port" min:"1" max:"65535"`

	// Names of the network interfaces to hear them on and to send multicast
	// out of. Empty: all, and where the route leads.
	Interfaces []string `yaml:"interfaces"`
}

// Limits bound what a client, or all of them, can make the broker do and keep.
type Limits struct {
	// Most sessions, attached or kept, of MQTT and MQTT-SN clients together.
	MaxSessions int `yaml:"max_sessions" min:"1" max:"100000000"`

	// Most MQTT connections, in all and from one IP address.
	MaxConnections      int `yaml:"max_connections" min:"1" max:"10000000"`
	MaxConnectionsPerIP int `yaml:"max_connections_per_ip" min:"1" max:"10000000"`

	// An MQTT connection must have sent its CONNECT by then.
	ConnectTimeout Duration `yaml:"connect_timeout" min:"100ms" max:"5m"`

	// Most MQTT connections, and most MQTT-SN clients, that may come: all
	// together but for those on loopback without a forwarder.
	ConnectRate Rate `yaml:"connect_rate" min:"1/m" max:"1000000/s"`

	// Longest MQTT CONNECT.
	PreConnectBytes Bytes `yaml:"pre_connect_bytes" min:"256" max:"1MiB"`

	// Longest MQTT packet of any other type.
	MaxPacketSize Bytes `yaml:"max_packet_size" min:"256" max:"256MiB"`

	// Longest topic or filter, in octets; its levels; wildcards in a filter.
	MaxTopicLength        int `yaml:"max_topic_length" min:"1" max:"65535"`
	MaxTopicLevels        int `yaml:"max_topic_levels" min:"1" max:"128"`
	MaxWildcardsPerFilter int `yaml:"max_wildcards_per_filter" min:"0" max:"128"`

	// Most subscriptions a session may hold. Home Assistant has one or two for
	// each device.
	MaxSubscriptionsPerClient int `yaml:"max_subscriptions_per_client" min:"1" max:"100000"`

	// Most filters in one SUBSCRIBE or UNSUBSCRIBE, of which Home Assistant sends
	// 500, and most user properties in one packet.
	MaxFiltersPerSubscribe int `yaml:"max_filters_per_subscribe" min:"1" max:"100000"`
	MaxUserProperties      int `yaml:"max_user_properties" min:"0" max:"10000"`

	// Most unacknowledged messages from an MQTT client, and to any client.
	ReceiveMaximum int `yaml:"receive_maximum" min:"1" max:"65535"`
	Inflight       int `yaml:"inflight" min:"1" max:"1024"`

	// What waits for one client.
	Queue Queue `yaml:"queue"`

	// How fast an MQTT client may publish. One that is faster is read more
	// slowly; nothing is lost.
	ClientPublishRate PublishRate `yaml:"client_publish_rate"`

	// Retained messages, of all clients together.
	Retained Retained `yaml:"retained"`

	// What MQTT-SN senders without a session can draw from us.
	UnauthenticatedUDP UnauthenticatedUDP `yaml:"unauthenticated_udp"`

	// Share of the memory that this process may have (of its control group, or
	// of the machine) from which on messages of QoS 0 are dropped and nobody new
	// may connect; and from which on no message at all is taken. 0: never.
	MemorySoft Percent `yaml:"memory_soft" min:"0%" max:"100%"`
	MemoryHard Percent `yaml:"memory_hard" min:"0%" max:"100%"`
}

// Queue bounds what waits for one client, asleep or gone.
type Queue struct {
	// Most messages.
	Messages int `yaml:"messages" min:"1" max:"10000000"`

	// Most octets.
	Bytes Bytes `yaml:"bytes" min:"1KiB" max:"1TiB"`

	// Which message goes when a bound is met.
	Overflow string `yaml:"overflow" oneof:"drop_oldest_qos0_first,drop_oldest,drop_newest"`
}

// Retained bounds retained messages.
type Retained struct {
	// Most messages.
	Messages int `yaml:"messages" min:"0" max:"100000000"`

	// Most octets.
	Bytes Bytes `yaml:"bytes" min:"0" max:"1TiB"`

	// Most messages that are one client's.
	PerPublisher int `yaml:"per_publisher" min:"1" max:"100000000"`

	// A new subscription gets so many at once, and the rest at that rate.
	ReplayPerSubscribe int  `yaml:"replay_per_subscribe" min:"1" max:"100000000"`
	ReplayRate         Rate `yaml:"replay_rate" min:"1/s" max:"10000000/s"`
}

// PublishRate bounds what one client publishes.
type PublishRate struct {
	// Messages, and octets of topics and payloads, in each second. 0: any
	// number.
	Messages int   `yaml:"messages" min:"0" max:"10000000"`
	Bytes    Bytes `yaml:"bytes" min:"0" max:"1TiB"`
}

// UnauthenticatedUDP bounds answers to strangers.
type UnauthenticatedUDP struct {
	// Most answers to one network. Loopback may have as many as it likes,
	// but not the nodes behind a forwarder there.
	ResponsesPerPrefix Rate `yaml:"responses_per_prefix" min:"1/m" max:"1000000/s"`

	// What a network is, in bits of an IPv4 and of an IPv6 address.
	PrefixV4 int `yaml:"prefix_v4" min:"8" max:"32"`
	PrefixV6 int `yaml:"prefix_v6" min:"16" max:"128"`
}

// Auth is who may connect.
type Auth struct {
	// Clients without a user name.
	Anonymous Anonymous `yaml:"anonymous"`

	// Who knows the clients that have one. The first that knows the name
	// decides.
	Providers []Provider `yaml:"providers"`

	// Whose a client id is.
	ClientID ClientID `yaml:"client_id"`
}

// ClientID is about client ids.
type ClientID struct {
	// "identity": while a session lasts, no other user name than the one that
	// opened it may connect under its client id, where auth.providers check
	// names; "none": who knows a client id may.
	Bind string `yaml:"bind" oneof:"identity,none"`
}

// Anonymous is about MQTT clients without a user name.
type Anonymous struct {
	// From where they may connect: "loopback", which is where a proxy on this
	// machine comes from, too; "true", anywhere; "false", not even through a
	// listener with "security: insecure".
	Enabled string `yaml:"enabled" oneof:"loopback,true,false"`
}

// A Provider knows clients by name.
type Provider struct {
	// "passwd": a file in Mosquitto's format, see "dormouse passwd". It is read
	// again on SIGHUP; clients that are connected stay so.
	Type string `yaml:"type" oneof:"passwd"`
	File string `yaml:"file"`
}

// Admin is where operators look and act.
type Admin struct {
	// Whether there is such a place.
	Enabled bool `yaml:"enabled"`

	// IP address and port, on loopback, of /metrics, /livez and /readyz.
	Listen Address `yaml:"listen"`

	// The socket of "dormouse clients", "kick" and "retained". Empty:
	// /run/dormouse/admin.sock for root; else dormouse/admin.sock in
	// $XDG_RUNTIME_DIR, or in a directory of the user's own in /tmp.
	UnixSocket string `yaml:"unix_socket"`
}

// Log is what is logged and how.
type Log struct {
	// The least severe level shown.
	Level string `yaml:"level" oneof:"debug,info,warn,error"`

	// One JSON object a line, or text. "auto": text on a terminal.
	Format string `yaml:"format" oneof:"auto,json,console"`
}

// SysTopics is the broker's figures as messages.
type SysTopics struct {
	// Whether to publish them.
	Enabled bool `yaml:"enabled"`

	// How often.
	Interval Duration `yaml:"interval" min:"1s" max:"1h"`

	// Who may subscribe to them: clients from these networks, and these users.
	Allow []Network `yaml:"allow"`
	Users []string  `yaml:"users"`
}

// Default returns the configuration of "dormouse serve" without a file:
// loopback only.
func Default() *Config {
	local := func(port uint16) Address {
		return Address{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	}
	listener := func(name, kind string, port uint16) Listener {
		l := Listener{Name: name, Type: kind, Address: local(port)}
		l.setDefaults()
		return l
	}
	return &Config{
		Version: 1,
		Listeners: []Listener{
			listener("mqtt", "tcp", 1883),
			listener("sn", "mqttsn-udp", 1884),
			listener("ws", "ws", 8083),
		},
		MQTT: MQTT{
			Versions:              []string{"3.1", "3.1.1", "5"},
			MaxQoS:                2,
			MaxKeepalive:          Duration(43690 * time.Second), // mochi wraps above this
			MaxSessionExpiry:      Duration(168 * time.Hour),
			TopicAliasMaximum:     16,
			Retain:                true,
			WildcardSubscriptions: true,
			SharedSubscriptions:   true,
		},
		MQTTSN: MQTTSN{
			GatewayID:        1,
			Advertise:        Advertise{Interval: Duration(15 * time.Minute)},
			Search:           Search{Answer: true, HopLimit: 1, Rate: 20},
			SearchAllow:      []Network{loopback, linkLocal, private},
			Retry:            Retry{Interval: Duration(10 * time.Second), Max: 4},
			MaxSleep:         Duration(24 * time.Hour),
			SessionExpiry:    Duration(24 * time.Hour),
			TopicIDs:         TopicIDs{PerClient: 1000, RegistersPerMinute: 60},
			QoSMinusOne:      QoSMinusOne{Enabled: "loopback", RatePerSource: 5, Rate: 5000},
			AddressMigration: "authenticated",
			Forwarders:       []Network{loopback, linkLocal, private},
			Multicast:        Multicast{Port: 1884},
			MaxPacket:        1024,
		},
		Limits: Limits{
			MaxSessions:               1_000_000,
			MaxConnections:            100_000,
			MaxConnectionsPerIP:       1000,
			ConnectTimeout:            Duration(5 * time.Second),
			ConnectRate:               500,
			PreConnectBytes:           16 * KiB,
			MaxPacketSize:             256 * KiB,
			MaxTopicLength:            1024,
			MaxTopicLevels:            32,
			MaxWildcardsPerFilter:     8,
			MaxSubscriptionsPerClient: 1000,
			MaxFiltersPerSubscribe:    500,
			MaxUserProperties:         20,
			ReceiveMaximum:            64,
			Inflight:                  64,
			Queue:                     Queue{Messages: 1000, Bytes: MiB, Overflow: "drop_oldest_qos0_first"},
			Retained: Retained{Messages: 1_000_000, Bytes: GiB, PerPublisher: 10_000,
				ReplayPerSubscribe: 10_000, ReplayRate: 2000},
			UnauthenticatedUDP: UnauthenticatedUDP{ResponsesPerPrefix: 50, PrefixV4: 24, PrefixV6: 56},
			MemorySoft:         75,
			MemoryHard:         90,
		},
		Auth:  Auth{Anonymous: Anonymous{Enabled: "loopback"}, ClientID: ClientID{Bind: "identity"}},
		Admin: Admin{Enabled: true, Listen: local(18080)},
		Log:   Log{Level: "info", Format: "auto"},
		SysTopics: SysTopics{Enabled: true, Interval: Duration(10 * time.Second),
			Allow: []Network{loopback}},
	}
}
