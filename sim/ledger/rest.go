package ledger

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A rest is whether a device's radio is off, as the gateway must see it. It is
// off from the gateway's last word on, PINGRESP to a sleeper or DISCONNECT to
// a request to sleep, if the device has no other answer to come, until
// anything of the device passes the tap.
type rest struct {
	since   clock.Time // of the last word
	from    clock.Time // from when on the gateway is held to it
	ping    clock.Time // the PINGREQ that the flush under way began with
	oldest  clock.Time // request that is unanswered
	latest  clock.Time
	pings   uint8 // unanswered
	dozes   uint8
	others  uint8
	sleeper bool // the gateway has agreed to the device's sleep
	off     bool
}

// patience is how long an answer may take at the most. Clients have asked
// again long before.
const patience = time.Minute

// forget forgets what the device has asked, and that it sleeps.
func (r *rest) forget() {
	r.pings, r.dozes, r.others = 0, 0, 0
	r.sleeper, r.off = false, false
}

// open notes that the device has its radio on.
func (r *rest) open(now clock.Time, slack time.Duration) {
	if r.closed(now) || now.Sub(r.latest) > patience+slack {
		r.pings, r.dozes, r.others = 0, 0, 0 // what was unanswered remains so
	}
	r.off = false
}

// ask notes a request. Copies count: the gateway may answer each, or all of
// them at once.
func (r *rest) ask(now clock.Time, t mqttsn.Type, slack time.Duration) {
	r.open(now, slack)
	if r.pings == 0 && r.dozes == 0 && r.others == 0 {
		r.oldest = now
	}
	r.latest = now
	switch t {
	case mqttsn.TypePingreq:
		if r.pings == 0 {
			r.ping = now
		}
		r.pings = more(r.pings)
	case mqttsn.TypeDisconnect:
		r.dozes = more(r.dozes)
	default:
		r.others = more(r.others)
	}
}

// answer notes a packet of the gateway. If it is the last word, the radio is
// off: at once, or if copies of requests are still unanswered, when they
// would have been answered as fast as what has been.
func (r *rest) answer(now clock.Time, t mqttsn.Type, slack time.Duration, exact bool) {
	last := false
	switch {
	case t == mqttsn.TypePingresp && r.pings > 0:
		r.pings--
		r.ping = r.latest
		last = r.sleeper
	case t == mqttsn.TypeDisconnect && r.dozes > 0:
		r.dozes--
		r.sleeper = true
		last = true
	case t == mqttsn.TypeDisconnect:
		r.forget()
	case answers[t]:
		r.others -= min(1, r.others)
	case t != mqttsn.TypePingresp && !r.closed(now):
		r.off = false // a copy of the PINGREQ has begun another flush
	}
	if !last || r.pings > 0 && !exact { // another flush may have begun without our having seen it
		return
	}
	r.off, r.since, r.from = true, now, now
	if r.pings > 0 || r.dozes > 0 || r.others > 0 {
		r.from = r.latest.Add(slack + min(now.Sub(r.oldest), patience))
		r.oldest = r.latest // what is left are copies; each wake is given the time that its own took
	}
}

// closed reports whether the gateway must know the radio to be off.
func (r *rest) closed(now clock.Time) bool { return r.off && now >= r.from }

// answers are the packets that answer a request other than to sleep or wake.
// Only who has a connection, or is about to, is answered by them.
var answers = [mqttsn.NumTypes]bool{
	mqttsn.TypeWilltopicreq: true, mqttsn.TypeWillmsgreq: true,
	mqttsn.TypeConnack: true, mqttsn.TypeRegack: true, mqttsn.TypePuback: true, mqttsn.TypePubrec: true,
	mqttsn.TypePubcomp: true, mqttsn.TypeSuback: true, mqttsn.TypeUnsuback: true,
	mqttsn.TypeWilltopicresp: true, mqttsn.TypeWillmsgresp: true,
}
