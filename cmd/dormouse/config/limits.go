package config

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
	// together but for those on loopback, and of MQTT-SN those that
	// unauthenticated_udp exempts.
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

	// How fast a client may publish. One of MQTT that is faster is read more
	// slowly; nothing is lost. One of MQTT-SN is not heard meanwhile: it sends
	// QoS 1 and 2 again, and QoS 0 is lost.
	ClientPublishRate PublishRate `yaml:"client_publish_rate"`

	// Retained messages, of all clients together.
	Retained Retained `yaml:"retained"`

	// What MQTT-SN senders without a session can draw from us.
	UnauthenticatedUDP UnauthenticatedUDP `yaml:"unauthenticated_udp"`

	// Share of the memory that this process may have (of its control group, or
	// of the machine) from which on messages of QoS 0 are dropped and nobody new
	// may connect; and from which on no message at all is taken. 0: never.
	// Garbage is collected the sooner the more is kept, unless the environment
	// has GOGC, and at 80% of the memory in any case, unless it has GOMEMLIMIT.
	MemorySoft Percent `yaml:"memory_soft" min:"0%" max:"100%"`
	MemoryHard Percent `yaml:"memory_hard" min:"0%" max:"100%"`

	// What stays free on the disk of data_dir: below that nothing is taken that
	// must be kept. QoS 0 goes on.
	DiskFreeMin Bytes `yaml:"disk_free_min" min:"0" max:"1TiB"`
}

// Queue bounds what waits for one client, asleep or gone.
type Queue struct {
	// Most messages. For a tenth of a second four times as many may wait for an
	// MQTT client that is connected: until then it may be the broker that is late.
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
	// Most answers to one network; and as no sender of plain UDP is known to be
	// who it says, four times as many SUBSCRIBE of its clients, for they draw
	// what is retained.
	ResponsesPerPrefix Rate `yaml:"responses_per_prefix" min:"1/m" max:"1000000/s"`

	// What a network is, in bits of an IPv4 and of an IPv6 address.
	PrefixV4 int `yaml:"prefix_v4" min:"8" max:"32"`
	PrefixV6 int `yaml:"prefix_v6" min:"16" max:"128"`

	// Networks that may have as many as they like, but not the nodes behind a
	// forwarder there: loopback, link-local, private, any, or prefixes.
	Exempt []Network `yaml:"exempt"`
}
