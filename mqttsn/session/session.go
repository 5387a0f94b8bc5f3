// Package session is the server's side of one MQTT-SN virtual connection, as a
// state machine that does no input or output.
//
// A Session is told what happened ([Session.Handle], [Session.Complete],
// [Session.Deliver], [Session.Drained], [Session.Tick], [Session.End]) and
// appends what must be done to an [Actions]. It starts no goroutines, reads no
// clock, takes no locks, and given the same calls it always asks for the same
// actions. Who drives it:
//
//  1. carries out Ask in order, then sends the datagrams in order;
//  2. while Ready, pulls a message from the broker, hands in the Answers that
//     came meanwhile, and calls Deliver; when there is no message, Drained.
//     Any call may have made the session Ready;
//  3. calls Tick at Deadline, which any call may have changed;
//  4. forgets the session when Gone is set.
//
// It is written in the vocabulary of MQTT-SN 2.0; what a peer's own version
// says differently is in its [dialect]. The rules and the ambiguities (A4, …)
// that comments cite are listed in ../INTERPRETATION.md.
package session

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A State is a client's state as the server sees it, 1.2 §6.14.
type State uint8

const (
	Disconnected State = iota // or lost: there is no virtual connection
	Connecting                // the will dialogue is under way, or the broker has yet to answer
	Active
	Asleep
	Awake // flushing: a sleeping client has asked for its messages
	numStates
)

func (s State) String() string {
	return [...]string{"disconnected", "connecting", "active", "asleep", "awake"}[s]
}

// A Session is one client's virtual connection. Use [New]. There may be a
// million that sleep: one should cost little more than this struct and its topic
// names.
type Session struct {
	cfg      *Config
	clientID string

	supervised clock.Time    // Connecting, Active, Asleep: when the client will be lost
	keepAlive  time.Duration // zero: no supervision
	sleep      time.Duration // what the client asked for; zero unless Asleep or Awake
	registers  clock.Time    // when the allowance for new topic ids will be whole again

	topics []topic
	*work        // nil: at rest
	will   *Will // as the broker has it

	tag          uint32 // of the last request
	saveTag      uint32 // of the last AskSave
	lastRegister uint16 // MsgId of our last REGISTER
	lastID       uint16 // the normal topic id given last, be it in a session that a CONNECT ended

	version   mqttsn.Version
	state     State
	lastStep  mqttsn.Type // what completed the will dialogue: a repeat of it asks for CONNACK
	clean     bool        // CleanSession
	attached  bool        // the broker has had an AskOpen and no AskDetach
	unsaved   bool        // what AskSave has stored is not how it is
	oweSleep  bool        // Asleep, and the request to sleep is not yet acknowledged
	drained   bool        // Awake, and the broker's queue is empty
	leaving   bool        // the client has said goodbye, and the broker has yet to store that
	heardFrom bool        // anything came since the exchange in the slot began
}

// New returns a session for a peer that speaks v and has not connected yet.
// cfg is shared and must not change.
func New(v mqttsn.Version, cfg *Config) *Session { return &Session{version: v, cfg: cfg} }

// Moved says that the client is somewhere else: what is stored with the
// session, the place among it, is to be stored again when there is time.
func (s *Session) Moved() { s.unsaved = true }

// State returns the client's state.
func (s *Session) State() State { return s.state }

// ClientID returns the client's id, empty before the first accepted CONNECT.
func (s *Session) ClientID() string { return s.clientID }

// CleanSession reports whether the session ends with its virtual connection.
func (s *Session) CleanSession() bool { return s.clean }

// SleepDuration returns how long a sleeping client asked to sleep, else zero.
func (s *Session) SleepDuration() time.Duration { return s.sleep }

// Wakes returns when a client that is Asleep wakes by its own word, else zero.
func (s *Session) Wakes() clock.Time {
	if s.state != Asleep || s.leaving {
		return 0
	}
	return s.supervised.Add(s.sleep - sleepGrace(s.sleep))
}

// TopicIDs returns how many topic ids and short names the session keeps for
// its client.
func (s *Session) TopicIDs() int { return len(s.topics) }

// Ready reports whether the session can take a Delivery now.
func (s *Session) Ready() bool {
	return s.listening() && !s.busy()
}

// Deadline returns when Tick is next wanted, or zero for never. It may change
// with every call.
func (s *Session) Deadline() clock.Time {
	if s.work == nil {
		return s.supervised
	}
	return clock.Sooner(s.supervised, clock.Sooner(s.retry, s.hold))
}

func (s *Session) dialect() dialect { return dialects[s.version] }

// Handle takes in a packet from the peer. It keeps nothing of p.
func (s *Session) Handle(now clock.Time, p mqttsn.Packet, out *Actions) {
	if s.leaving && p.Type() != mqttsn.TypeConnect {
		return // the answer is on its way
	}
	s.rouse(out)
	defer s.calm(out)
	s.hear(now)
	if s.dialect().mayArrive(p)&(1<<s.state) == 0 {
		out.count(OutOfState)
		s.dialect().stray(s.state, p, out)
		return
	}
	s.dialect().handle(s, now, p, out)
	s.rest(now, out)
}

// hear restarts supervision: any packet shows that the client is there, rules
// 60 and 75.
func (s *Session) hear(now clock.Time) {
	s.heardFrom = true
	switch s.state {
	case Active:
		s.supervised = s.silence(now)
	case Asleep:
		s.supervised = now.Add(sleepGrace(s.sleep))
	}
}

// silence returns when an active client that says nothing more is lost, or
// never: 1.5 times its keep alive, rule 60.
func (s *Session) silence(now clock.Time) clock.Time {
	if s.keepAlive == 0 {
		return 0
	}
	return now.Add(s.keepAlive * 3 / 2)
}

// Tick runs whatever timers have expired. A call too early does nothing.
func (s *Session) Tick(now clock.Time, out *Actions) {
	s.rouse(out)
	defer s.calm(out)
	if s.supervised.Reached(now) {
		s.lose([...]Reason{Connecting: DialogueTimeout, Active: KeepAliveTimeout, Asleep: SleepTimeout}[s.state], out)
		return
	}
	if s.hold.Reached(now) {
		s.hold = 0
		if s.listening() && s.busy() {
			s.advance(now, out)
		}
	}
	if s.retry.Reached(now) {
		s.onRetry(now, out)
	}
	s.rest(now, out)
}

// lose ends a virtual connection whose client has gone: its will is published.
// Nothing is said to it; it would not hear.
func (s *Session) lose(why Reason, out *Actions) {
	s.detach(Lost, out)
	s.over(why, out)
}

// leave ends the virtual connection at the client's wish: no will, and the
// request is acknowledged, rule 62, once that is stored. After a restart nobody
// is to miss the client, or its will would be published.
func (s *Session) leave(out *Actions) {
	if !s.attached {
		s.left(true, out)
		return
	}
	s.leaving = true
	s.supervised, s.retry, s.hold = 0, 0, 0
	s.detach(Clean, out)
	s.promises = append(s.promises[:0], promise{says: mqttsn.TypeDisconnect, tag: s.tag, owed: 1})
}

// left ends what leave began. Nobody knows whether it is stored if it is not to
// be said: then the client, which hears nothing, asks again.
func (s *Session) left(say bool, out *Actions) {
	if say {
		s.dialect().goodbye(out)
	}
	s.over(ByClient, out)
}

// End ends the virtual connection from our side: taken over, kicked, or
// shutting down. A client that sleeps hears nothing of it, and a kept session
// hears nothing of a planned stop. A broker that itself let go of the client,
// by a Kick, needs no AskDetach.
func (s *Session) End(_ clock.Time, why Reason, out *Actions) {
	s.rouse(out)
	defer s.calm(out)
	switch why {
	case TakenOver, Kicked:
		s.attached = false
	case ShuttingDown:
		s.detach(Shutdown, out)
	default:
		s.detach(Lost, out)
	}
	listens := s.state == Active || s.state == Awake
	if listens && (why != ShuttingDown || s.clean) {
		s.dialect().goodbye(out)
	}
	s.over(why, out)
}

func (s *Session) detach(how Ending, out *Actions) {
	if s.attached {
		s.attached = false
		out.ask(Request{Kind: AskDetach, Tag: s.nextTag(), Ending: how})
	}
}

// over is the end of the virtual connection. Nothing of it is left to fire, to
// be answered or to be sent.
func (s *Session) over(why Reason, out *Actions) {
	s.state = Disconnected
	s.work.clear()
	s.topics, s.will = nil, nil
	s.supervised, s.sleep, s.oweSleep, s.leaving = 0, 0, false, false
	out.Gone = why
}

// nextTag returns a tag that no pending request bears. Zero marks requests
// whose Answer changes nothing.
func (s *Session) nextTag() uint32 {
	s.tag++
	if s.tag == 0 {
		s.tag++
	}
	return s.tag
}
