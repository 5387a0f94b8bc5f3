package core

import (
	"errors"

	"dormouse/core/router"
)

// This file is what access rules are asked, and where.

// An Access is what Authorize is asked about: what somebody wants to do, or did.
type Access struct {
	Do    Action
	Topic string // of ActSubscribe, but OnDelivery, the filter, without $share and its name

	// QoS is that of the message, or the one asked for. What is refused at one
	// may be allowed at a lower.
	QoS QoS

	Retain bool // ActPublish: the message is to be retained
	Shared bool // ActSubscribe: others of the same share have what this one does not
	At     Occasion
}

// An Action is what somebody wants to do.
type Action uint8

const (
	ActPublish Action = iota + 1
	ActSubscribe
)

func (a Action) String() string { return [...]string{"none", "publish", "subscribe"}[a] }

// An Occasion is why Authorize is asked. All but the first is asked again: rules
// may have changed meanwhile, or who is there.
type Occasion uint8

const (
	OnRequest  Occasion = iota // the client asks for it: a publish, a subscribe, a will when the session is opened
	OnDelivery                 // a message is about to go to a subscriber; Topic is the message's
	OnReplay                   // a retained message is about to go to a new subscriber; who is its publisher
	OnWill                     // a will is about to be published; who left it
	OnResume                   // a session is resumed, perhaps by another
	OnReload                   // Recheck
)

// mayPublish says whether who may publish m.
func (b *Broker) mayPublish(who Identity, m *Message, at Occasion) error {
	if err := router.ValidTopic(m.Topic, b.o.Topics); err != nil {
		b.dropped.invalid.Add(1)
		return err
	}
	if !b.publishes(who, m, at) {
		b.dropped.unauthorized.Add(1)
		return ErrNotAuthorized
	}
	return nil
}

// longestShown is how much of a topic the log shows, in octets.
const longestShown = 256

// Shown is as much of a topic as the log shows.
func Shown(topic string) string { return topic[:min(len(topic), longestShown)] }

// tellRefused has the log tell of what a rule forbids, once in an attachment: a
// sensor, and a client of MQTT 3.1.1, learns little of it, if anything.
func (s *Session) tellRefused(who Identity, do Action, topic string, err error) {
	if !errors.Is(err, ErrNotAuthorized) {
		return
	}
	attached := s.lock()
	again := s.told
	s.told = true
	s.client.mu.Unlock()
	if attached && !again {
		s.broker.tellRefused(who, do, topic)
	}
}

func (b *Broker) tellRefused(who Identity, do Action, topic string) {
	b.incidents.Info().Str("event", do.String()+"_refused").Str("client", who.ClientID).Str("user", who.User).
		Str("listener", who.Listener).Str("remote", who.Remote).Str("topic", Shown(topic)).
		Msg("access rules forbid it; see acl, and dormouse acl test")
}

// publishes reports whether who may publish m, whose topic is valid.
func (b *Broker) publishes(who Identity, m *Message, at Occasion) bool {
	if m.Topic[0] == '$' && !isBridgeState(m.Topic, who.ClientID) {
		return false
	}
	return b.authorized(who, Access{Do: ActPublish, Topic: m.Topic, QoS: m.QoS, Retain: m.Retain, At: at})
}

// isBridgeState reports whether topic is where Mosquitto, bridged to us under
// this client id, says whether it is connected: by a retained message and a
// will that it will not connect without, see notification_topic in
// mosquitto.conf(5).
func isBridgeState(topic, clientID string) bool {
	return clientID != "" && topic == "$SYS/broker/connection/"+clientID+"/state"
}

// grant returns the highest QoS, asked at most, at which who may subscribe to
// filter, if at any.
func (b *Broker) grant(who Identity, filter string, shared bool, asked QoS, at Occasion) (QoS, bool) {
	for q := int(asked); q >= 0; q-- {
		if b.authorized(who, Access{Do: ActSubscribe, Topic: filter, QoS: QoS(q), Shared: shared, At: at}) {
			return QoS(q), true
		}
	}
	return 0, false
}

// mayReceive reports whether c, which is locked and attached, may have l by
// whatever subscription.
func (c *client) mayReceive(b *Broker, l *letter) bool {
	return b.o.Authorize == nil || b.o.Authorize(c.attached.who(), Access{Do: ActSubscribe, Topic: l.Topic, At: OnDelivery})
}

func (b *Broker) authorized(who Identity, a Access) bool {
	return b.o.Authorize == nil || b.o.Authorize(who, a)
}
