package core

// Each yields the figures of b under their exported names. A name ends in its
// unit, and "total" marks a counter. What a reader should do about it goes in
// help. A figure that comes in parts has a label, such as reason="expired",
// from a closed set. Names are an interface: testdata/metrics.txt pins them.
func Each(b *Broker, yield func(name, help, label string, value uint64)) {
	s := b.Stats()
	yield("dormouse_sessions",
		"Sessions, connected or not. See limits.max_sessions.", "", uint64(s.Clients))
	yield("dormouse_sessions_connected",
		"Sessions with a connection, of MQTT or MQTT-SN.", "", uint64(s.Connected))
	yield("dormouse_sessions_opened_total",
		"Connections that asked for a session, refused ones too. Many more than sessions: clients that cannot hold a connection.", "", s.Opened)
	yield("dormouse_sessions_expired_total",
		"Sessions whose client did not come back in time. See mqtt.max_session_expiry.", "", s.Expired)
	for _, r := range []part{
		{"limit", s.Dropped.Sessions}, {"memory", s.Dropped.Busy}, {"overload", s.Dropped.Strained}, {"another_users", s.Dropped.Foreign}, {"client_id", s.Dropped.Misnamed},
	} {
		yield("dormouse_sessions_refused_total",
			"Clients turned away. limit: see limits.max_sessions. memory: see limits.memory_soft. overload: see dormouse_strain. another_users and client_id: see auth.client_id.", r.label("reason"), r.n)
	}
	yield("dormouse_subscriptions",
		"Subscriptions of all sessions.", "", uint64(s.Subscriptions))
	for _, r := range []part{
		{"limit", s.Denied.Quota}, {"invalid_filter", s.Denied.Invalid}, {"not_authorized", s.Denied.Unauthorized},
	} {
		yield("dormouse_subscriptions_refused_total",
			"Filters refused, each by itself. limit: see limits.max_subscriptions_per_client. invalid_filter: malformed, or beyond "+
				"limits.max_topic_length, max_topic_levels or max_wildcards_per_filter. not_authorized: see acl and sys_topics.", r.label("reason"), r.n)
	}

	yield("dormouse_retained_messages",
		"Retained messages, without $SYS. See limits.retained.messages.", "", uint64(s.Retained))
	yield("dormouse_retained_bytes",
		"Octets of their topics, payloads and properties. See limits.retained.bytes.", "", uint64(s.RetainedBytes))
	yield("dormouse_messages_waiting",
		"Messages in queues, one for each client that is to have it. Growing: clients that are away or slow.", "", uint64(s.Waiting))
	yield("dormouse_messages_waiting_for_sensors",
		"Those of them that are for sensors. Growing: sleep without a wake, or more than fits in one.", "", uint64(s.ForSensors))
	yield("dormouse_messages_waiting_bytes",
		"Octets of their topics, payloads and properties, though a message is kept once for all. See limits.queue.", "", uint64(s.WaitingBytes))
	yield("dormouse_messages_inflight",
		"Messages sent and not acknowledged yet. Growing: clients that do not answer.", "", uint64(s.Inflight))

	yield("dormouse_messages_received_total",
		"Messages taken from publishers.", "", s.Received.Messages)
	yield("dormouse_messages_received_bytes_total",
		"Octets of their topics and payloads.", "", s.Received.Bytes)
	yield("dormouse_messages_sent_total",
		"Messages handed out to subscribers.", "", s.Sent.Messages)
	yield("dormouse_messages_sent_bytes_total",
		"Octets of their topics and payloads.", "", s.Sent.Bytes)
	for _, r := range []part{
		{"queue_full", s.Dropped.Overflow}, {"expired", s.Dropped.Expired}, {"max_age", s.Dropped.Aged},
		{"disconnected", s.Dropped.Detached}, {"session_ended", s.Dropped.Ended},
		{"invalid_topic", s.Dropped.Invalid}, {"not_authorized", s.Dropped.Unauthorized},
		{"retained_full", s.Dropped.Quota}, {"retained_per_publisher", s.Dropped.Share},
		{"memory_soft", s.Dropped.Shed}, {"memory_hard", s.Dropped.Refused}, {"store_behind", s.Dropped.Behind},
	} {
		yield("dormouse_messages_dropped_total",
			"Messages that did not reach whom they were meant for. queue_full: see the log for the clients, and limits.queue. max_age: see durability.max_age. store_behind: QoS 0 that would have waited for a disk that does not keep up, see dormouse_strain. Others: see limits of that name.", r.label("reason"), r.n)
	}
	yield("dormouse_wills_published_total",
		"Wills published. Many at once: a network that went away.", "", s.Wills)
	yield("dormouse_acks_stray_total",
		"Acknowledgements of nothing in flight. Many: a client that is broken.", "", s.StrayAcks)
	yield("dormouse_store_refusals_total",
		"Facts that the store refused when nobody could be told. Any: see the log, and free its disk.", "", s.StoreRefusals)
	for p := NoPressure; p <= Hard; p++ {
		on := uint64(0)
		if b.Pressure() == p {
			on = 1
		}
		yield("dormouse_memory_pressure",
			"1 at how short memory is. soft, hard: see limits.memory_soft and memory_hard.", part{p.String(), on}.label("level"), on)
	}
	for strain := NoStrain; strain <= Behind; strain++ {
		on := uint64(0)
		if b.Strain() == strain {
			on = 1
		}
		yield("dormouse_strain",
			"1 at what does not keep up; nobody new is let in then. late: what sensors send, so add cores, or sensors report too often. "+
				"behind: the disk, so see dormouse_store_sync_seconds, and have a faster one.", part{strain.String(), on}.label("level"), on)
	}
}

// A part is one of those that make up a figure.
type part struct {
	name string
	n    uint64
}

func (p part) label(key string) string { return key + `="` + p.name + `"` }
