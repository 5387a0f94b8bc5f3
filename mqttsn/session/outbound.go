package session

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// maxRounds is how many times over a message waits for REGACK, N_RETRY
// retransmissions each time, before its topic name counts as refused. One
// round is too few: with a fifth of the datagrams lost each way, one in 150
// clients that answer everything would lose a message by it.
const maxRounds = 3

// An exchange is a message on its way to the client: the slot holds at most
// one, so that QoS 1 and 2 messages go one at a time and in order (rule 52).
// It outlives a flush that was broken off.
type exchange struct {
	Delivery
	topic      mqttsn.Topic // how the client knows it
	registerID uint16
	step       step
	tries      uint8 // retransmissions in this step
	rounds     uint8 // of tries that went unanswered
	corrected  bool  // the client did not know the id, and has been told (rule 53)
}

// A step is what the exchange in the slot waits for.
type step uint8

const (
	idle        step = iota // the slot is empty
	waiting                 // the client, to be awake and willing
	storing                 // the broker, to store the id that REGISTER will tell
	registering             // REGACK
	publishing              // PUBACK or PUBREC
	receiving               // the broker, to store that PUBREC has come
	releasing               // PUBCOMP
)

// busy reports whether a message is under way.
func (s *Session) busy() bool { return s.work != nil && s.slot.step != idle }

// listening reports whether the client may be sent to on our own account.
func (s *Session) listening() bool {
	return (s.state == Active || s.state == Awake) && (s.work == nil || s.hold == 0) && !s.leaving
}

// Deliver takes in a message for the client, whenever it comes: a session that
// is no longer Ready keeps it until it is. One without a connection drops it;
// the broker, which has it in flight, hands it out again after the next AskOpen.
func (s *Session) Deliver(now clock.Time, d Delivery, out *Actions) {
	switch {
	case s.state == Disconnected || s.state == Connecting:
		return
	case s.busy():
		out.count(Misdelivered)
		return
	}
	s.rouse(out)
	defer s.calm(out)
	s.drained = false
	s.slot = exchange{Delivery: d, step: waiting}
	s.heardFrom = false
	s.advance(now, out)
	s.rest(now, out)
}

// advance begins the exchange in the slot, or begins it again: whatever the
// client has to be told, in whatever spelling it understands by now.
func (s *Session) advance(now clock.Time, out *Actions) {
	x := &s.slot
	x.step, x.tries = waiting, 0
	if !s.listening() {
		return
	}
	if x.Released {
		x.step = releasing
		s.transmit(now, out)
		return
	}
	if packetSize(7+len(x.Payload)) > s.cfg.MaxPacket {
		s.drop(Oversize, out)
		return
	}
	t, how := s.dialect().spell(s, x.Topic)
	x.topic = t
	switch how {
	case spelled:
		x.step = publishing
		s.transmit(now, out)
		if x.QoS == 0 {
			s.finish()
		}
	case unheard:
		s.register(now, out)
	case refused:
		s.drop(NameRefused, out)
	case tooLong:
		s.drop(Oversize, out)
	case impossible:
		s.drop(NoTopicID, out)
	}
}

// register tells the client an id, once it is stored: an id that the client
// has heard of must never come to mean something else.
func (s *Session) register(now clock.Time, out *Actions) {
	x := &s.slot
	s.lastRegister++
	if s.lastRegister == 0 {
		s.lastRegister++
	}
	x.registerID = s.lastRegister
	x.step = storing
	s.retry = 0
	s.promise(now, promise{says: mqttsn.TypeRegister, id: x.registerID}, Request{}, out)
}

// stored goes on with the REGISTER for which the broker has stored the id, or
// tries it later if it could not: no client suffers from that but by delay.
func (s *Session) stored(now clock.Time, registerID uint16, ok bool, out *Actions) {
	switch x := &s.slot; {
	case !s.busy() || x.step != storing || x.registerID != registerID: // it has been answered otherwise
	case !ok:
		x.step = waiting
		s.hold = now.Add(s.cfg.RetryInterval)
	case !s.listening():
		x.step = waiting
	default:
		x.step = registering
		s.transmit(now, out)
	}
}

// transmit sends the packet of the exchange's step and starts the retry timer.
func (s *Session) transmit(now clock.Time, out *Actions) {
	x := &s.slot
	s.retry = now.Add(s.patience())
	switch x.step {
	case registering:
		out.packet.register = mqttsn.Register{TopicID: x.topic.ID, ID: x.registerID, Name: []byte(x.Topic)}
		out.send(s.version, &out.packet.register)
	case publishing:
		out.packet.publish = mqttsn.Publish{
			DUP:     x.DUP && x.QoS > 0 && !s.cfg.NoDUP,
			QoS:     x.QoS,
			Retain:  x.Retain,
			Topic:   x.topic,
			ID:      x.ID,
			Payload: x.Payload,
		}
		out.send(s.version, &out.packet.publish)
		out.packet.publish.Payload = nil
		x.DUP = true // from now on
	case releasing:
		out.packet.pubrel.ID = x.ID
		out.send(s.version, &out.packet.pubrel)
	}
}

// patience is how long to wait for the answer to what is sent now. Its jitter
// is drawn from whose it is and which it is: FNV-1a, and the end of MurmurHash3
// to spread names that differ by a digit.
func (s *Session) patience() time.Duration {
	h := uint32(2166136261)
	mix := func(b byte) { h = (h ^ uint32(b)) * 16777619 }
	mix(s.slot.tries)
	mix(byte(s.slot.ID))
	for i := range len(s.clientID) {
		mix(s.clientID[i])
	}
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	h ^= h >> 16
	most := s.cfg.RetryJitter * float64(s.cfg.RetryInterval)
	return s.cfg.RetryInterval + time.Duration(most*float64(h)/(1<<32))
}

// resume takes up the exchange where the last flush left it.
func (s *Session) resume(now clock.Time, out *Actions) {
	x := &s.slot
	x.tries = 0
	switch x.step {
	case waiting:
		s.advance(now, out)
	case registering, publishing, releasing:
		out.count(Retransmission)
		s.transmit(now, out)
	}
}

// nudge repeats what is outstanding before its time, for a client that asks,
// but not more often than four times in a retry interval, and it counts as a
// retry: a storm of requests makes no storm of answers.
func (s *Session) nudge(now clock.Time, out *Actions) {
	due := s.retry
	if due != 0 && due.Sub(now) <= s.cfg.RetryInterval*3/4 && int(s.slot.tries) < s.cfg.MaxRetries {
		s.again(now, out)
	}
}

func (s *Session) again(now clock.Time, out *Actions) {
	s.slot.tries++
	out.count(Retransmission)
	s.transmit(now, out)
}

// onRetry sends the outstanding packet again, with DUP if it is a PUBLISH
// (rule 57), until N_RETRY is exhausted.
func (s *Session) onRetry(now clock.Time, out *Actions) {
	if int(s.slot.tries) < s.cfg.MaxRetries {
		s.again(now, out)
		return
	}
	s.exhausted(now, out)
}

// exhausted decides what silence means. A client that was awake is asleep
// again, and the message waits for its next wake (rule 67). An active one is
// lost — but not for want of a REGACK: some clients never answer REGISTER, and
// are alive as their keep alive shows, or without one, anything they have sent
// meanwhile (rule 30). Then it is the message that is given up, and its name.
func (s *Session) exhausted(now clock.Time, out *Actions) {
	x := &s.slot
	alive := s.keepAlive != 0 || s.heardFrom
	if s.state == Active && (x.step != registering || !alive) {
		s.lose(RetryTimeout, out)
		return
	}
	x.rounds++
	if x.step == registering && (x.QoS == 0 || x.rounds >= maxRounds) {
		if x.rounds >= maxRounds {
			s.refuseName(x.topic.ID)
		}
		s.drop(Unregistered, out)
	}
	switch {
	case s.state == Awake:
		s.abandon(now)
	case s.busy():
		x.tries = 0
		s.again(now, out)
	}
}

// drop gives a message up.
func (s *Session) drop(why Event, out *Actions) {
	out.count(why)
	s.acknowledge(out)
}

// acknowledge ends the exchange: the broker may forget the message.
func (s *Session) acknowledge(out *Actions) {
	if s.slot.ID != 0 {
		out.ask(Request{Kind: AskAck, ID: s.slot.ID})
	}
	s.finish()
}

// finish empties the slot.
func (s *Session) finish() {
	s.slot = exchange{}
	s.retry = 0
	s.drained = false
}

// packetSize returns the length of a datagram of which n octets come with the
// short header: from 256 on it needs the long one.
func packetSize(n int) int {
	if n > 255 {
		return n + 2
	}
	return n
}
