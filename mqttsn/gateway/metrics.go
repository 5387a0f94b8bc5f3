package gateway

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dormouse/mqttsn/session"
)

// Each yields the figures of all the gateways together, under their exported
// names. A name ends in its unit, and "total" marks a counter. What a reader
// should do about it goes in help. A figure that comes in parts has a label,
// such as kind="length", from a closed set. Names are an interface:
// testdata/metrics.txt pins them.
func Each(gs []*Gateway, yield func(name, help, label string, value uint64)) {
	t := tally(gs)
	part := func(name, help, key, value string, n uint64) {
		yield(name, help, key+`="`+words.Replace(value)+`"`, n)
	}
	yield("dormouse_mqttsn_datagrams_received_total",
		"Datagrams that a shard has looked at.", "", t.received)
	yield("dormouse_mqttsn_datagrams_sent_total",
		"Datagrams handed to the network.", "", t.sent)
	yield("dormouse_mqttsn_send_errors_total",
		"Batches that the network refused as a whole. See the log of the system.", "", t.sendErrors)

	const dropped, whyDropped = "dormouse_mqttsn_datagrams_dropped_total",
		"Datagrams discarded. inbox_full, overload (QoS 0), late (requests that come again): more comes in than the cores can do, so add some, or have sensors report less often. " +
			"not_a_forwarder: see mqttsn.forwarders. not_ready: came during the start, and comes again. " +
			"client_rate: see limits.client_publish_rate. subscribe_rate: see limits.unauthenticated_udp."
	part(dropped, whyDropped, "reason", "inbox_full", t.full)
	for i, name := range dropNames {
		part(dropped, whyDropped, "reason", name, t.drops[i])
	}
	yield("dormouse_mqttsn_inbox_wait",
		"For how many milliseconds what a shard looks at has waited for it, where that is longest. 200 and more for a second: see reason overload of the datagrams dropped.", "", t.wait)
	for i, kind := range malformedKinds {
		part("dormouse_mqttsn_datagrams_malformed_total",
			"Datagrams that are no packet of MQTT-SN 1.2. Many from one sender: its firmware.", "kind", kind.name, t.malformed[i])
	}

	yield("dormouse_mqttsn_strangers_answered_total",
		"Answers to senders without a session.", "", t.answered)
	yield("dormouse_mqttsn_strangers_suppressed_total",
		"Senders without a session that were not heard: their network had its share. See limits.unauthenticated_udp.", "", t.suppressed)
	for i, name := range refusalNames {
		part("dormouse_mqttsn_connects_refused_total",
			"CONNECT that came to nothing. sessions: see limits.max_sessions. dialogues: clients that begin to connect and do not go on. rate: see limits.connect_rate. draining: we stop. "+
				"overload: clients without a session, while more comes in than the cores can do; see dormouse_strain. "+
				"address: see mqttsn.address_migration.", "reason", name, t.refused[i])
	}
	for i, name := range verdictNames {
		part("dormouse_mqttsn_qos_minus_one_total",
			"PUBLISH at QoS -1, and why it was refused. See mqttsn.qos_minus_one.", "result", name, t.minusOne[i])
	}

	yield("dormouse_mqttsn_predefined_publishes_total",
		"PUBLISH by a predefined id. None, though sensors know such ids: see mqttsn.predefined.", "", t.predefined)
	for i, name := range stateNames {
		if i > 0 {
			part("dormouse_mqttsn_sessions",
				"Virtual connections by state.", "state", name, t.states[i])
		}
	}
	for i, n := range t.ended {
		if i > 0 {
			part("dormouse_mqttsn_sessions_ended_total",
				"Virtual connections that have ended. Many retry timeouts: a lossy radio.", "reason", session.Reason(i).String(), n)
		}
	}
	for i, n := range t.events {
		part("dormouse_mqttsn_session_events_total",
			"What happened in sessions that should not happen often. Many retransmissions: a lossy radio, or mqttsn.retry.interval is too short for it. "+
				"congested: see limits, and dormouse_store_full. crowded: a client asks on without waiting for answers, or the disk does not keep up. Others: the client's firmware.", "event", session.Event(i).String(), n)
	}
	yield("dormouse_mqttsn_moves_total",
		"Sleepers that woke at another address and were believed.", "", t.moves)
	yield("dormouse_mqttsn_hijack_attempts_total",
		"PINGREQ for another address's client, and CONNECT where mqttsn.address_migration is never. Expected after changes of address; else see the log.", "", t.hijacks)
}

// words makes a label of words.
var words = strings.NewReplacer(" ", "_", "-", "_")

// Sys yields what is published below $SYS/broker/, for all the gateways
// together: sums, and below them what they are made of.
func Sys(gs []*Gateway, yield func(name, value string)) {
	t := tally(gs)
	number := func(name string, parts ...uint64) {
		var n uint64
		for _, p := range parts {
			n += p
		}
		yield("mqttsn/"+name, strconv.FormatUint(n, 10))
	}
	number("clients/connected", t.states[session.Active], t.states[session.Asleep], t.states[session.Awake])
	number("clients/active", t.states[session.Active])
	number("clients/asleep", t.states[session.Asleep], t.states[session.Awake])
	number("clients/lost", t.ended[session.KeepAliveTimeout], t.ended[session.SleepTimeout], t.ended[session.RetryTimeout])
	number("datagrams/received", t.received)
	number("datagrams/sent", t.sent)
	number("datagrams/dropped", append(t.drops[:], t.full)...)
	number("datagrams/dropped/inbox_full", t.full)
	for i, reason := range dropNames {
		number("datagrams/dropped/"+reason, t.drops[i])
	}
	number("datagrams/malformed", t.malformed[:]...)
	for i, kind := range malformedKinds {
		number("datagrams/malformed/"+kind.name, t.malformed[i])
	}
	number("retransmits", t.events[session.Retransmission])
	number("strangers/suppressed", t.suppressed)
	number("connects/refused", append(t.refused[:], t.ended[session.OpenRefused])...)
	number("qos_minus_one/accepted", t.minusOne[published])
	number("qos_minus_one/refused", t.minusOne[published+1:]...)
	number("predefined/hits", t.predefined)
	number("moves", t.moves)
	number("hijack_attempts", t.hijacks)
	for i, n := range t.events {
		number("sessions/events/"+words.Replace(session.Event(i).String()), n)
	}
}

// Overflow returns how many datagrams found a shard's inbox full, and were
// dropped.
func (g *Gateway) Overflow() (n uint64) {
	for _, s := range g.shards {
		n += s.count.full.Load()
	}
	return n
}

// totals are counters added up.
type totals struct {
	received, sent, sendErrors, full uint64
	drops                            [numDrops]uint64
	malformed                        [len(malformedKinds)]uint64
	answered, suppressed             uint64
	refused                          [numRefusals]uint64
	minusOne                         [numVerdicts]uint64
	predefined                       uint64
	events                           [session.NumEvents]uint64
	ended                            [session.OpenRefused + 1]uint64
	moves, hijacks                   uint64
	states                           [len(stateNames)]uint64
	wait                             uint64 // in milliseconds, where it is longest
}

func tally(gs []*Gateway) (t totals) {
	for _, g := range gs {
		for _, s := range g.shards {
			t.add(s.count)
			t.wait = max(t.wait, uint64(s.wait.Load())/uint64(time.Millisecond))
		}
	}
	return t
}

func (t *totals) add(c *counters) {
	t.received += c.received.Load()
	t.sent += c.sent.Load()
	t.sendErrors += c.sendErrors.Load()
	t.full += c.full.Load()
	addUp(t.drops[:], c.drops[:])
	addUp(t.malformed[:], c.malformed[:])
	t.answered += c.answered.Load()
	t.suppressed += c.suppressed.Load()
	addUp(t.refused[:], c.refused[:])
	addUp(t.minusOne[:], c.minusOne[:])
	t.predefined += c.predefined.Load()
	addUp(t.events[:], c.events[:])
	addUp(t.ended[:], c.ended[:])
	t.moves += c.moves.Load()
	t.hijacks += c.hijacks.Load()
	for i := range c.states {
		t.states[i] += uint64(c.states[i].Load())
	}
}

func addUp(to []uint64, from []atomic.Uint64) {
	for i := range from {
		to[i] += from[i].Load()
	}
}
