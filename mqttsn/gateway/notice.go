package gateway

import (
	"encoding/hex"
	"sync/atomic"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/session"
)

// A Notice is something that an operator may want to see in the log.
type Notice struct {
	Kind     NoticeKind
	ClientID string
	User     string         // whom its transport proves it to be; empty: nobody
	Remote   string         // its address, and its node id behind a forwarder
	Reason   session.Reason // why the connection ended, if it has
	Skipped  uint64         // notices of this kind that were too many, since the last one
}

// A NoticeKind says what a Notice is about. Its String is a stable word.
type NoticeKind uint8

const (
	ClientConnected NoticeKind = iota
	ClientAsleep
	ClientMoved // woke at another address
	ClientGone  // the connection has ended
	HijackAttempt
	numNotices
)

func (k NoticeKind) String() string {
	return [...]string{"client_connected", "client_asleep", "client_moved", "client_gone", "hijack_attempt"}[k]
}

// noticesPerSecond bounds the notices of one kind.
const noticesPerSecond = 100

// notices lets through as many as a log can bear.
type notices struct {
	log     func(Notice)
	rate    *limit.Limiter
	skipped [numNotices]atomic.Uint64
}

func (n *notices) tell(now clock.Time, kind NoticeKind, clientID, user string, from source, why session.Reason) {
	if n.log == nil {
		return
	}
	if !n.rate.Allow(now, uint64(kind)) {
		n.skipped[kind].Add(1)
		return
	}
	n.log(Notice{Kind: kind, ClientID: clientID, User: user, Remote: from.String(), Reason: why, Skipped: n.skipped[kind].Swap(0)})
}

// String is the address, and behind it the node id in hex if there is one.
func (s source) String() string {
	switch {
	case !s.peer.Addr.IsValid():
		return ""
	case s.node == "":
		return s.peer.Addr.String()
	}
	return s.peer.Addr.String() + "/" + hex.EncodeToString([]byte(s.node))
}
