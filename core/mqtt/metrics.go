package mqtt

// Each yields the figures of s under their exported names. A name ends in its
// unit, and "total" marks a counter. What a reader should do about it goes in
// help. A figure that comes in parts has a label, such as reason="rate", from
// a closed set. Names are an interface: testdata/metrics.txt pins them.
func Each(s *Server, yield func(name, help, label string, value uint64)) {
	n := s.Stats()
	parts := func(name, help, key string, parts []part) {
		for _, p := range parts {
			yield(name, help, key+`="`+p.name+`"`, p.n)
		}
	}
	yield("dormouse_mqtt_connections",
		"Connections of MQTT clients, and those that have not said CONNECT yet. See limits.max_connections.", "", uint64(n.Connections))
	yield("dormouse_mqtt_connections_accepted_total",
		"Connections let in. Many more than clients: clients that cannot hold a connection.", "", n.Accepted)
	yield("dormouse_mqtt_packets_received_total",
		"MQTT packets of any type.", "", n.Received.Packets)
	yield("dormouse_mqtt_bytes_received_total",
		"Octets of MQTT that were read, without those of TLS and WebSocket.", "", n.Received.Bytes)
	yield("dormouse_mqtt_packets_sent_total",
		"MQTT packets of any type.", "", n.Sent.Packets)
	yield("dormouse_mqtt_bytes_sent_total",
		"Octets of MQTT that were sent, without those of TLS and WebSocket.", "", n.Sent.Bytes)

	r, c, f := &n.Refused, &n.Closed, &n.Filters
	parts("dormouse_mqtt_connections_refused_total",
		"Connections that came to nothing. full, per_ip, rate: see limits.max_connections, max_connections_per_ip, connect_rate. "+
			"timeout: limits.connect_timeout, or somebody scans ports. stranger: not by a proxy, see listeners.proxy_protocol. handshake: TLS, WebSocket or the PROXY header, see the log. "+
			"packet_size: see limits.pre_connect_bytes. authentication: wrong passwords, or somebody tries them out. not_authorized: no user name where it takes one, or what is another user's.",
		"reason", []part{
			{"full", r.Full}, {"per_ip", r.PerIP}, {"rate", r.Rate}, {"timeout", r.Timeout}, {"stranger", r.Stranger}, {"handshake", r.Handshake},
			{"version", r.Version}, {"malformed", r.Malformed}, {"packet_size", r.TooLarge}, {"user_properties", r.UserProperties},
			{"will_qos", r.QoS}, {"will_retain", r.Retain}, {"authentication", r.Authentication},
			{"not_authorized", r.NotAuthorized}, {"busy", r.Busy}, {"other", r.Other},
		})
	parts("dormouse_mqtt_connections_closed_total",
		"Connections that we ended. malformed, protocol: see the log for the client, and correct its program. "+
			"packet_size, user_properties, receive_maximum: it disregards limits of that name; topic_alias, qos, retain: settings of mqtt. "+
			"keep_alive: clients or networks that went away. stalled: clients too slow for what they subscribe to. "+
			"taken_over, many: two clients with one client id.",
		"reason", []part{
			{"malformed", c.Malformed}, {"protocol", c.Protocol}, {"packet_size", c.TooLarge}, {"user_properties", c.UserProperties},
			{"receive_maximum", c.ReceiveMaximum}, {"topic_alias", c.TopicAlias}, {"qos", c.QoS}, {"retain", c.Retain},
			{"keep_alive", c.KeepAlive}, {"stalled", c.Stalled}, {"taken_over", c.TakenOver}, {"kicked", c.Kicked}, {"other", c.Other},
		})
	parts("dormouse_mqtt_filters_refused_total",
		"Filters refused by settings. too_many: whole packets, see limits.max_filters_per_subscribe. "+
			"wildcards, shared: see mqtt.wildcard_subscriptions, mqtt.shared_subscriptions.",
		"reason", []part{{"too_many", f.TooMany}, {"wildcards", f.Wildcards}, {"shared", f.Shared}})

	yield("dormouse_mqtt_messages_throttled_total",
		"Messages held back because their client publishes too fast. See limits.client_publish_rate.", "", n.Throttled)
	yield("dormouse_mqtt_reads_held_total",
		"Times that a client was not read from until it had an answer to what it sent before; nothing is lost. Many: it sends all at once, or the disk does not keep up, see dormouse_store_waiting.", "", n.Held)
	yield("dormouse_mqtt_messages_too_large_total",
		"Messages not sent to a client because it takes none so long. Have it raise its Maximum Packet Size.", "", n.TooLarge)
	yield("dormouse_mqtt_panics_total",
		"Packets that brought down what reads them; each cost its client the connection. Any is a bug: please report it with the log.", "", n.Panics)
}

// A part is one of those that make up a figure.
type part struct {
	name string
	n    uint64
}
