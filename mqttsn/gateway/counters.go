package gateway

import (
	"errors"
	"sync/atomic"

	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// counters are one shard's figures. The shard alone writes them, except for
// full, which the readers do.
type counters struct {
	received, sent, sendErrors atomic.Uint64
	full                       atomic.Uint64 // datagrams that found no room in the inbox
	drops                      [numDrops]atomic.Uint64
	malformed                  [len(malformedKinds)]atomic.Uint64
	answered, suppressed       atomic.Uint64 // strangers
	refused                    [numRefusals]atomic.Uint64
	minusOne                   [numVerdicts]atomic.Uint64
	predefined                 atomic.Uint64 // PUBLISH that named its topic by an id of ours
	events                     [session.NumEvents]atomic.Uint64
	ended                      [session.OpenRefused + 1]atomic.Uint64
	moves, hijacks             atomic.Uint64
	states                     [len(stateNames)]atomic.Int64
}

// stateNames are those of the session's states, Disconnected being none that a
// seat has for long.
var stateNames = [...]string{
	session.Disconnected: "disconnected", session.Connecting: "connecting",
	session.Active: "active", session.Asleep: "asleep", session.Awake: "awake",
}

// A drop is why a datagram was not looked at further.
type drop uint8

const (
	notAForwarder drop = iota // it was encapsulated, by someone who may not
	badSource                 // nobody can be there: a group, all of a network, or port 0
	byMulticast               // it was sent to a group, and is not discovery
	otherGateway              // ADVERTISE or GWINFO: we do not stand by for others
	searchRefused             // SEARCHGW: not ready, not for this network, or too many
	notForServers             // only a server sends it
	notReady                  // we have just begun, and do not know our clients yet
	shedQoS0                  // PUBLISH at QoS 0 or -1, while more comes in than we can do
	shedLate                  // a request that had waited for too long, and comes again
	beyondRate                // PUBLISH of a client that publishes faster than it may
	subscribeRate             // SUBSCRIBE: its network had its share
	numDrops
)

var dropNames = [numDrops]string{"not_a_forwarder", "bad_source", "by_multicast", "other_gateway", "search_refused", "not_for_servers", "not_ready", "overload", "late", "client_rate", "subscribe_rate"}

// A refusal is why a stranger could not connect.
type refusal uint8

const (
	tooManySessions refusal = iota
	tooManyDialogues
	tooFast // unanswered
	drained
	unknown          // more comes in than we can do, and the client has no session
	atAnotherAddress // clients and addresses are held to each other
	numRefusals
)

var refusalNames = [numRefusals]string{"sessions", "dialogues", "rate", "draining", "overload", "address"}

// A verdict is what became of a PUBLISH at QoS -1.
type verdict uint8

const (
	published verdict = iota
	fromElsewhere
	badTopic
	tooOften
	numVerdicts
)

var verdictNames = [numVerdicts]string{"accepted", "source", "topic", "rate"}

// malformedKinds are the errors of the codec, as labels.
var malformedKinds = [...]struct {
	err  error
	name string
}{
	{mqttsn.ErrTruncated, "truncated"},
	{mqttsn.ErrLength, "length"},
	{mqttsn.ErrReserved, "reserved"},
	{mqttsn.ErrValue, "value"},
	{mqttsn.ErrType, "type"},
	{mqttsn.ErrVersion, "version"},
}

func (c *counters) countMalformed(err error) {
	for i, kind := range malformedKinds {
		if errors.Is(err, kind.err) {
			c.malformed[i].Add(1)
			return
		}
	}
}
