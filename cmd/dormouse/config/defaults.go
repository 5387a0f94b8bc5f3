package config

import (
	"net/netip"
	"time"
)

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
		Version:    1,
		DataDir:    "./dormouse-data",
		Durability: Durability{Store: "pebble", MaxAge: Duration(72 * time.Hour)},
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
			Retry:            Retry{Interval: Duration(10 * time.Second), Jitter: 20, Max: 4},
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
			UnauthenticatedUDP: UnauthenticatedUDP{ResponsesPerPrefix: 50, PrefixV4: 24, PrefixV6: 56, Exempt: []Network{loopback}},
			MemorySoft:         75,
			MemoryHard:         90,
			DiskFreeMin:        256 * MiB,
		},
		Auth: Auth{Anonymous: Anonymous{Enabled: "loopback"}, ClientID: ClientID{Bind: "identity"},
			Lockout: Lockout{Failures: 10, Window: Duration(time.Minute), Block: Duration(5 * time.Minute), Exempt: []Network{loopback}}},
		ACL:   ACL{Recheck: []string{"deliver", "retained", "will", "resume", "reload"}},
		Admin: Admin{Enabled: true, Listen: local(18080)},
		Log:   Log{Level: "info", Format: "auto"},
		SysTopics: SysTopics{Enabled: true, Interval: Duration(10 * time.Second),
			Allow: []Network{loopback}},
	}
}
