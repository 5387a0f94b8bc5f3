package disk

import (
	"encoding/binary"
	"time"

	"dormouse/core/store"
)

// This file is the records but that of a message, each as it is written and
// as it is read: what the key says is not said again.

// Flags of a Session.
const (
	sessionKeepWill = 1
	sessionWill     = 2
	sessionEnds     = 4
	sessionWillDue  = 8
	sessionAuthor   = 16
)

// appendSession appends a Session:
//
//	Flags(1) Client Id, User, Expiry, Edge, [Ends] [Will Due] [Author] [Will, its Delay and Lifetime]
func appendSession(dst []byte, s *store.Session) []byte {
	dst = append(dst, bit(s.KeepWill, sessionKeepWill)|bit(s.Will != nil, sessionWill)|
		bit(!s.Ends.IsZero(), sessionEnds)|bit(!s.WillDue.IsZero(), sessionWillDue)|
		bit(s.Author != "", sessionAuthor))
	dst = appendOctets(dst, s.ClientID)
	dst = appendOctets(dst, s.User)
	dst = binary.AppendVarint(dst, int64(s.Expiry))
	dst = appendOctets(dst, s.Edge)
	if !s.Ends.IsZero() {
		dst = appendTime(dst, s.Ends)
	}
	if !s.WillDue.IsZero() {
		dst = appendTime(dst, s.WillDue)
	}
	if s.Author != "" {
		dst = appendOctets(dst, s.Author)
	}
	if w := s.Will; w != nil {
		dst = appendMessage(dst, &w.Message)
		dst = binary.AppendVarint(dst, int64(w.Delay))
		dst = binary.AppendVarint(dst, int64(w.Lifetime))
	}
	return dst
}

func (r *reader) session() (s store.Session) {
	f := r.flags(sessionKeepWill | sessionWill | sessionEnds | sessionWillDue | sessionAuthor)
	s.KeepWill = f&sessionKeepWill != 0
	s.ClientID, s.User, s.Expiry, s.Edge = r.string(), r.string(), time.Duration(r.int()), r.string()
	if f&sessionEnds != 0 {
		s.Ends = r.time()
	}
	if f&sessionWillDue != 0 {
		s.WillDue = r.time()
	}
	if f&sessionAuthor != 0 {
		s.Author = r.string()
	}
	if f&sessionWill != 0 {
		s.Will = &store.Will{Message: r.message(), Delay: time.Duration(r.int()), Lifetime: time.Duration(r.int())}
	}
	return s
}

// appendRetained appends which message a topic retains, and whose it is, if that
// is known:
//
//	Seq, Author to the end
func appendRetained(dst []byte, seq uint64, author string) []byte {
	return append(binary.AppendUvarint(dst, seq), author...)
}

func (r *reader) retained() (seq uint64, author string) {
	seq = r.uint()
	author, r.b = string(r.b), nil
	return seq, author
}

// Flags of a Subscription; the two lowest bits are its QoS, then two of Retain
// Handling.
const (
	subscriptionQoS               = 3
	subscriptionRetainHandling    = 3 << 2
	subscriptionNoLocal           = 16
	subscriptionRetainAsPublished = 32
)

// appendSubscription appends a Subscription, whose Filter the key has:
//
//	Flags(1) Subscription Identifier
func appendSubscription(dst []byte, s *store.Subscription) []byte {
	dst = append(dst, byte(s.QoS)|s.RetainHandling<<2|
		bit(s.NoLocal, subscriptionNoLocal)|bit(s.RetainAsPublished, subscriptionRetainAsPublished))
	return binary.AppendUvarint(dst, uint64(s.ID))
}

func (r *reader) subscription(filter []byte) store.Subscription {
	f := r.flags(subscriptionQoS | subscriptionRetainHandling | subscriptionNoLocal | subscriptionRetainAsPublished)
	s := store.Subscription{
		Filter:            string(filter),
		QoS:               r.qos(f & subscriptionQoS),
		RetainHandling:    f & subscriptionRetainHandling >> 2,
		NoLocal:           f&subscriptionNoLocal != 0,
		RetainAsPublished: f&subscriptionRetainAsPublished != 0,
		ID:                r.uint32(),
	}
	if s.RetainHandling > 2 {
		r.fail(errValue)
	}
	return s
}

// Flags of a Receiver; the two lowest bits are its QoS. One in flight may also
// have been received.
const (
	receiverQoS      = 3
	receiverRetain   = 4
	inFlightReceived = 8
)

// appendReceiver appends how a message is to be delivered; the key says to
// whom. flags are more than are the Receiver's own.
//
//	Flags(1) Subscription Identifiers to the end
func appendReceiver(dst []byte, r *store.Receiver, flags byte) []byte {
	dst = append(dst, byte(r.QoS)|bit(r.Retain, receiverRetain)|flags)
	for _, id := range r.SubscriptionIDs {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return dst
}

func (r *reader) receiver(allowed byte) (to store.Receiver, flags byte) {
	f := r.flags(receiverQoS | receiverRetain | allowed)
	to.QoS, to.Retain = r.qos(f&receiverQoS), f&receiverRetain != 0
	for len(r.b) > 0 {
		to.SubscriptionIDs = append(to.SubscriptionIDs, r.uint32())
	}
	return to, f & allowed
}

// inFlight is a message in flight under an id, which the key has.
type inFlight struct {
	store.Receiver        // without ClientID
	seq            uint64 // of the message
	order          uint64 // when it was taken, among all
	received       bool
}

// appendInFlight appends what is in flight:
//
//	Order, Seq, Share, Receiver
func appendInFlight(dst []byte, f *inFlight) []byte {
	dst = binary.AppendUvarint(dst, f.order)
	dst = binary.AppendUvarint(dst, f.seq)
	dst = appendOctets(dst, f.Share)
	return appendReceiver(dst, &f.Receiver, bit(f.received, inFlightReceived))
}

func (r *reader) inFlight() (f inFlight) {
	f.order, f.seq = r.uint(), r.uint()
	share := r.string()
	to, flags := r.receiver(inFlightReceived)
	f.Receiver, f.received = to, flags != 0
	f.Share = share
	return f
}
