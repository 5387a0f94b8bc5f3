package gateway

import (
	"net/netip"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/session"
)

// A Saved is what a gateway had stored of a client, for those who look into a
// store. Nothing is stored when a client wakes and sleeps again, so it may have
// been heard since.
type Saved struct {
	Listener string
	Peer     netip.AddrPort // invalid: it had no place of its own
	At       time.Time      // when it was stored
	State    session.State  // Active or Asleep
	Sleep    time.Duration  // Asleep: at a time
	Lost     time.Time      // unless it was heard since; zero: never
	TopicIDs int
}

// ReadSaved makes out what was stored of a client. It reports whether it can
// be, and the client had a virtual connection.
func ReadSaved(clientID string, stored []byte) (s Saved, ok bool) {
	p, state, ok := new(Gateway).readPlace(stored) // one that has no addresses of its own
	if !ok {
		return s, false
	}
	const then clock.Time = 1
	cfg := session.DefaultConfig()
	kept, ok := session.Resume(mqttsn.V12, &cfg, then, session.Kept{ClientID: clientID, State: state}, 0)
	if !ok {
		return s, false
	}
	s = Saved{Listener: p.listener, Peer: p.peer.Addr, At: time.UnixMilli(p.saved), State: kept.State(),
		Sleep: kept.SleepDuration(), TopicIDs: kept.TopicIDs()}
	if d := kept.Deadline(); d != 0 {
		s.Lost = s.At.Add(d.Sub(then))
	}
	return s, true
}
