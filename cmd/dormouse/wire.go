package main

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"dormouse/bridge"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
	"dormouse/core/mqtt"
	"dormouse/core/router"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/session"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/udp"
)

// This file says which setting of the configuration ends up where. The
// defaults of the packages behind it and those of the configuration are the
// same; a test sees to it.

var overflows = map[string]core.Overflow{
	"drop_oldest_qos0_first": core.DropOldestQoS0First,
	"drop_oldest":            core.DropOldest,
	"drop_newest":            core.DropNewest,
}

func coreOptions(c *config.Config, log zerolog.Logger) core.Options {
	o := core.DefaultOptions()
	o.Log = log.With().Str("component", "core").Logger()
	o.Version = "dormouse " + release
	o.BindUsers = c.Auth.ClientID.Bind != "none" && c.KnowsUsers()
	o.MaxSessions = c.Limits.MaxSessions
	o.MaxSubscriptions = c.Limits.MaxSubscriptionsPerClient
	o.MaxInflight = c.Limits.Inflight
	o.Topics = router.Limits{
		Length:    c.Limits.MaxTopicLength,
		Levels:    c.Limits.MaxTopicLevels,
		Wildcards: c.Limits.MaxWildcardsPerFilter,
	}
	o.Queue = core.QueueLimits{
		Messages: c.Limits.Queue.Messages,
		Bytes:    int(c.Limits.Queue.Bytes),
		Overflow: overflows[c.Limits.Queue.Overflow],
		Age:      time.Duration(c.Durability.MaxAge),
	}
	o.Retained = core.RetainedLimits{
		Messages:     c.Limits.Retained.Messages,
		Bytes:        int(c.Limits.Retained.Bytes),
		PerPublisher: c.Limits.Retained.PerPublisher,
		ReplayAtOnce: c.Limits.Retained.ReplayPerSubscribe,
		ReplayRate:   float64(c.Limits.Retained.ReplayRate),
	}
	o.SysInterval = 0
	if c.SysTopics.Enabled {
		o.SysInterval = time.Duration(c.SysTopics.Interval)
	}
	return o
}

// levels are MQTT's versions as CONNECT writes them.
var levels = map[string]byte{"3.1": 3, "3.1.1": 4, "5": 5}

func mqttOptions(c *config.Config, log zerolog.Logger) mqtt.Options {
	o := mqtt.DefaultOptions()
	o.Log = log.With().Str("component", "mqtt").Logger()
	o.Versions = nil
	for _, v := range c.MQTT.Versions {
		o.Versions = append(o.Versions, levels[v])
	}
	o.MaxQoS = c.MQTT.MaxQoS
	o.Retain = c.MQTT.Retain
	o.WildcardSubscriptions = c.MQTT.WildcardSubscriptions
	o.SharedSubscriptions = c.MQTT.SharedSubscriptions
	o.TopicAliasMaximum = c.MQTT.TopicAliasMaximum
	o.MaxFilters = c.Limits.MaxFiltersPerSubscribe
	o.MaxUserProperties = c.Limits.MaxUserProperties
	o.PublishRate = mqtt.PublishRate{
		Messages: c.Limits.ClientPublishRate.Messages,
		Bytes:    int(c.Limits.ClientPublishRate.Bytes),
	}
	o.ConnectRate = float64(c.Limits.ConnectRate)
	o.MaxConnections = c.Limits.MaxConnections
	o.MaxConnectionsPerIP = c.Limits.MaxConnectionsPerIP
	o.ConnectTimeout = time.Duration(c.Limits.ConnectTimeout)
	o.PreConnectBytes = int(c.Limits.PreConnectBytes)
	o.MaxPacketSize = int(c.Limits.MaxPacketSize)
	o.ReceiveMaximum = c.Limits.ReceiveMaximum
	o.MaxKeepalive = time.Duration(c.MQTT.MaxKeepalive)
	o.MaxSessionExpiry = time.Duration(c.MQTT.MaxSessionExpiry)
	return o
}

var anonymousFrom = map[string]auth.From{
	"false": auth.Nowhere, "loopback": auth.Loopback, "true": auth.Anywhere,
}

var namesIn = map[string]auth.NameIn{"cn": auth.InCommonName, "san_uri": auth.InURI, "san_dns": auth.InDNSName}

func authOptions(c *config.Config) auth.Options {
	o := auth.Options{Anonymous: anonymousFrom[c.Auth.Anonymous.Enabled]}
	l := &c.Auth.Lockout
	o.Lockout = auth.Lockout{Failures: l.Failures, Window: time.Duration(l.Window), Block: time.Duration(l.Block), Exempt: config.Prefixes(l.Exempt)}
	for _, l := range c.Listeners {
		if l.Security == "insecure" {
			o.Open = append(o.Open, l.Name)
		}
		if l.Identifies() || l.Proves() { // then nobody may claim a name that is not checked
			if o.Names == nil {
				o.Names = make(map[string]auth.NameIn)
			}
			o.Names[l.Name] = namesIn[l.Identity]
		}
	}
	for _, p := range c.Auth.Providers {
		switch p.Type {
		case "jwt":
			o.Tokens = append(o.Tokens, auth.Tokens{URL: p.JWKSURL, File: p.File, Issuer: p.Issuer, Audience: p.Audience,
				Claim: p.Claim, RolesClaim: p.RolesClaim, Algorithms: p.Algorithms})
		case "http":
			o.Hooks = append(o.Hooks, auth.Hook{URL: p.URL, After: len(o.Files), Timeout: time.Duration(p.Timeout), Cache: time.Duration(p.Cache),
				Next: p.OnError == "next", CAFile: p.CAFile})
		default:
			o.Files = append(o.Files, p.File)
		}
	}
	return o
}

func sessionConfig(c *config.Config) session.Config {
	s := session.DefaultConfig()
	s.RetryInterval = time.Duration(c.MQTTSN.Retry.Interval)
	s.RetryJitter = float64(c.MQTTSN.Retry.Jitter) / 100
	s.MaxRetries = c.MQTTSN.Retry.Max
	s.MaxSleep = time.Duration(c.MQTTSN.MaxSleep)
	s.MaxPacket = c.MQTTSN.MaxPacket
	s.MaxTopicLength = c.Limits.MaxTopicLength
	s.MaxTopicLevels = c.Limits.MaxTopicLevels
	s.TopicIDs = c.MQTTSN.TopicIDs.PerClient
	s.RegistersPerMinute = c.MQTTSN.TopicIDs.RegistersPerMinute
	s.Predefined = make(map[uint16]string)
	for _, p := range c.MQTTSN.Predefined {
		s.Predefined[uint16(p.ID)] = p.Topic
	}
	return s
}

var (
	minusOneFrom = map[string]gateway.From{
		"false": gateway.Nowhere, "loopback": gateway.Loopback, "true": gateway.Anywhere,
	}
	migrations = map[string]gateway.Migration{
		"never": gateway.Never, "authenticated": gateway.Authenticated, "always": gateway.Always,
	}
)

func gatewayConfig(c *config.Config, l *config.Listener, log zerolog.Logger) gateway.Config {
	sn := &c.MQTTSN
	g := gateway.DefaultConfig()
	g.Listener = l.Name
	g.Session = sessionConfig(c)
	g.Shards = runtime.GOMAXPROCS(0)
	g.GatewayID = uint8(sn.GatewayID)
	g.Advertise.Interval = time.Duration(sn.Advertise.Interval)
	if sn.Advertise.Enabled && !l.Proves() { // nobody hears it there who is not known
		g.Advertise.Addresses = sn.Advertise.Addresses
	}
	g.Search = gateway.Search{
		Answer: sn.Search.Answer,
		Allow:  config.Prefixes(sn.SearchAllow),
		Rate:   float64(sn.Search.Rate),
	}
	g.Forwarders = config.Prefixes(sn.Forwarders)
	g.QoSMinusOne = gateway.QoSMinusOne{
		From:          minusOneFrom[sn.QoSMinusOne.Enabled],
		RatePerSource: float64(sn.QoSMinusOne.RatePerSource),
		Rate:          float64(sn.QoSMinusOne.Rate),
	}
	for _, id := range sn.QoSMinusOne.Topics {
		g.QoSMinusOne.Topics = append(g.QoSMinusOne.Topics, uint16(id))
	}
	g.AddressMigration = migrations[sn.AddressMigration]
	g.Strangers = gateway.Strangers{
		ResponsesPerPrefix: float64(c.Limits.UnauthenticatedUDP.ResponsesPerPrefix),
		PrefixV4:           c.Limits.UnauthenticatedUDP.PrefixV4,
		PrefixV6:           c.Limits.UnauthenticatedUDP.PrefixV6,
		Connects:           float64(c.Limits.ConnectRate),
		Exempt:             config.Prefixes(c.Limits.UnauthenticatedUDP.Exempt),
	}
	g.PublishRate = gateway.PublishRate{
		Messages: c.Limits.ClientPublishRate.Messages,
		Octets:   int(c.Limits.ClientPublishRate.Bytes),
	}
	g.MaxSessions = c.Limits.MaxSessions
	g.Seed = rand.Uint64()
	g.Log = noticeLog(log.With().Str("component", "mqttsn").Str("listener", l.Name).Logger())
	return g
}

func bridgeConfig(c *config.Config) bridge.Config {
	b := bridge.DefaultConfig()
	b.SessionExpiry = time.Duration(c.MQTTSN.SessionExpiry)
	return b
}

func dtlsConfig(c *config.Config, l *config.Listener) dtls.Config {
	d := dtls.DefaultConfig()
	d.MaxHandshakes = l.DTLS.MaxHandshakes
	d.HandshakesPerPrefix = l.DTLS.HandshakesPerPrefix
	d.Rate = float64(l.DTLS.HandshakeRate)
	d.RatePerPrefix = float64(l.DTLS.HandshakeRatePerPrefix)
	d.PrefixV4 = c.Limits.UnauthenticatedUDP.PrefixV4
	d.PrefixV6 = c.Limits.UnauthenticatedUDP.PrefixV6
	d.HandshakeTimeout = time.Duration(l.DTLS.HandshakeTimeout)
	d.MaxAssociations = l.DTLS.MaxAssociations
	d.Idle = time.Duration(l.DTLS.IdleTimeout)
	d.Stay = migrations[c.MQTTSN.AddressMigration] == gateway.Never
	d.Name = auth.InCommonName.Of
	d.Seed = rand.Uint64()
	return d
}

func udpConfig(c *config.Config, l *config.Listener) udp.Config {
	u := udp.Config{
		Address:       l.Address.AddrPort,
		Sockets:       l.Sockets,
		ReceiveBuffer: int(l.RecvBuffer),
		MaxDatagram:   c.MQTTSN.MaxPacket,
		Interfaces:    c.MQTTSN.Multicast.Interfaces,
		HopLimit:      c.MQTTSN.Search.HopLimit,
	}
	if l.Proves() {
		u.MaxDatagram = max(u.MaxDatagram+dtls.MaxOverhead, dtls.MinDatagram)
		return u
	}
	for _, a := range c.MQTTSN.Advertise.Addresses {
		u.Broadcast = u.Broadcast || c.MQTTSN.Advertise.Enabled && a.Addr().Unmap().Is4() && !a.Addr().Unmap().IsMulticast()
	}
	for _, g := range c.MQTTSN.Multicast.Groups {
		u.Groups = append(u.Groups, netip.AddrPortFrom(g, uint16(c.MQTTSN.Multicast.Port)))
	}
	return u
}
