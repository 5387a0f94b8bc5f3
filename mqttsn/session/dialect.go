package session

import (
	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A dialect lets one state machine serve more than one version of the
// protocol. It holds every difference between them that the session can see:
// which packets there are and what they ask for, and in which packets the
// session's answers are put. It has no state of its own.
type dialect interface {
	// mayArrive says in which states p means something.
	mayArrive(p mqttsn.Packet) states

	// handle does what p asks for, by the session's verbs.
	handle(s *Session, now clock.Time, p mqttsn.Packet, out *Actions)

	// stray answers a packet that means nothing in this state, if it is to be
	// answered at all.
	stray(in State, p mqttsn.Packet, out *Actions)

	// connack says how a request for a connection went.
	connack(r mqttsn.Reason, out *Actions)

	// answer says how a request went that the client waits for.
	answer(p promise, out *Actions)

	// slept acknowledges the request to sleep, and flushed says that a
	// client that woke has everything: the last word before its radio closes.
	slept(out *Actions)
	flushed(out *Actions)

	// goodbye says that there is no virtual connection, or no longer.
	goodbye(out *Actions)

	// spell says by what the client knows a topic name.
	spell(s *Session, name string) (mqttsn.Topic, spelling)

	// doubt takes back how a topic was spelled: the client does not know it.
	doubt(s *Session, t mqttsn.Topic)
}

var dialects = [...]dialect{mqttsn.V12: v12{}}

// A spelling says whether a topic name can be put to the client.
type spelling uint8

const (
	spelled    spelling = iota // the client knows it
	unheard                    // the client has to be told first, by REGISTER
	refused                    // the client does not want it
	tooLong                    // it has to be told, and does not fit a REGISTER
	impossible                 // there is no id left for it
)

// states is a set of State.
type states uint8

// Where a packet may come from, in columns: Disconnected, Connecting, Active,
// aSleep, aWake.
const (
	DCASW states = 1<<numStates - 1
	_CASW states = DCASW &^ (1 << Disconnected)
	__ASW states = _CASW &^ (1 << Connecting)
	_CA__ states = 1<<Connecting | 1<<Active
)

// reasonFor says in a return code how the broker answered. The codes have none
// for "not authorized", rule 35.
func reasonFor(r Result) mqttsn.Reason {
	switch r {
	case Done:
		return mqttsn.Accepted
	case Busy, Failed:
		return mqttsn.Congestion
	}
	return mqttsn.NotSupported
}
