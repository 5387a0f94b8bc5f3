package sim

import (
	"errors"
	"fmt"
	"strings"

	"dormouse/mqttsn"
	"dormouse/sim/workload"
)

// A KeyError is what is wrong with a group, and under which key of a scenario
// file: "sleep.policy", "topics[2].name".
type KeyError struct {
	Group, Key string
	Err        error
}

func (e *KeyError) Error() string { return fmt.Sprintf("group %s: %s %v", e.Group, e.Key, e.Err) }

func (e *KeyError) Unwrap() error { return e.Err }

// MaxTopics is how many topics a device publishes to at most: each is a stream
// of its own.
const MaxTopics = 250

// Validate reports everything that is wrong with g, each as a [*KeyError]: what
// a firmware cannot do among it.
func (g *Group) Validate() []error {
	v := &validator{group: g}
	v.firmware()
	v.topics()
	v.session()
	v.commands()
	v.dtls()
	v.parts()
	return v.errs
}

type validator struct {
	group *Group
	errs  []error
}

func (v *validator) add(key string, err error) {
	v.errs = append(v.errs, &KeyError{Group: v.group.Name, Key: key, Err: err})
}

func (v *validator) require(ok bool, key, format string, args ...any) {
	if !ok {
		v.add(key, fmt.Errorf(format, args...))
	}
}

// parts asks each part for what it has against its own.
func (v *validator) parts() {
	g := v.group
	for _, err := range list(g.Workload.Validate()) {
		v.keyed(err)
	}
	for _, err := range list(g.Ills.Validate()) {
		v.keyed(err)
	}
	for _, err := range list(g.Ills.Bear(&g.Workload)) {
		v.keyed(err)
	}
	for _, err := range list(g.Client.Validate()) {
		v.add("retry", fmt.Errorf("is not possible: %w", err))
	}
	for _, err := range list(g.Radio.Validate()) {
		v.add("radio", fmt.Errorf("is not possible: %w", err))
	}
	if g.Hardware != nil {
		for _, err := range list(g.Hardware.Validate()) {
			v.add("energy", fmt.Errorf("is not possible: %w", err))
		}
	}
}

// list is the errors that were joined to one.
func list(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// keyed adds an error that begins with its key.
func (v *validator) keyed(err error) {
	key, rest, ok := strings.Cut(err.Error(), " ")
	if !ok {
		v.add("", err)
		return
	}
	v.add(strings.TrimSuffix(key, ","), errors.New(rest))
}

func (v *validator) firmware() {
	g, w := v.group, &v.group.Workload
	switch g.Firmware {
	case Full, Emcute, Paho, Zephyr:
	default:
		v.require(false, "firmware", "is %q; there are %s, %s, %s and %s", g.Firmware, Full, Emcute, Paho, Zephyr)
	}
	switch g.Address {
	case OwnAddress, OwnPort, Forwarder:
	default:
		v.require(false, "address", "is %q; it must be empty, %s or %s", g.Address, OwnPort, Forwarder)
	}
	v.require(w.Sleep.Policy != workload.Sleeping || g.Client.CanSleep(), "sleep.policy",
		"is %s, and firmware %s cannot sleep as 1.2 §6.14 has it; choose %s, or another firmware", w.Sleep.Policy, g.Firmware, workload.RadioOff)
	if w.Reports.Every > 0 {
		for i, t := range g.Topics {
			as := mqttsn.Topic{Kind: t.spelling(w.Reports.QoS)}
			v.require(g.Client.CanPublish(w.Reports.QoS, as), fmt.Sprintf("topics[%d]", i),
				"cannot be published to at QoS %d by firmware %s", w.Reports.QoS, g.Firmware)
		}
	}
	if w.Commands.Topic != "" {
		v.require(g.Client.CanSubscribe(w.Commands.QoS, mqttsn.Topic{Kind: mqttsn.TopicName}), "commands.qos",
			"is %d, and firmware %s cannot subscribe at that", w.Commands.QoS, g.Firmware)
	}
}

// spelling is how a PUBLISH at q names t. Without a connection no id can be
// asked for: the name goes with the message, as Paho does it.
func (t *Topic) spelling(q mqttsn.QoS) mqttsn.TopicKind {
	switch {
	case t.Kind == Predefined:
		return mqttsn.TopicPredefined
	case t.Kind == Short:
		return mqttsn.TopicShort
	case q == mqttsn.QoSMinusOne:
		return mqttsn.TopicName
	}
	return mqttsn.TopicNormal
}

// pattern compiles one, or says what is wrong with it.
func (v *validator) pattern(key, s string) pattern {
	p, err := compile(s, v.group.Name, v.group.ClientID)
	if err != nil {
		v.add(key, err)
		return pattern{""}
	}
	return p
}

// topic is a pattern of topic names, not of filters.
func (v *validator) topic(key, s string) pattern {
	p := v.pattern(key, s)
	v.require(s != "", key, "is empty")
	v.require(!strings.ContainsAny(s, "+#\x00"), key, "is %q; a topic name holds no wildcards", s)
	limit := v.group.Client.MaxName
	if n := p.longest(v.group.From + max(v.group.Count, 1)); limit > 0 {
		v.require(n <= limit, key, "has up to %d octets; firmware %s takes %d", n, v.group.Firmware, limit)
	}
	return p
}

func (v *validator) topics() {
	g := v.group
	v.require(len(g.Topics) <= MaxTopics, "topics", "are %d; a device has at most %d", len(g.Topics), MaxTopics)
	v.require(len(g.Topics) > 0 || g.Workload.Reports.Every == 0, "topics", "are none, and there are reports to publish")
	for i, t := range g.Topics {
		key := fmt.Sprintf("topics[%d].", i)
		p := v.topic(key+"name", t.Name)
		v.require(!t.Numbered || t.Kind == Registered, key+"numbered", "is set, and the topic is %s; only registered ones are numbered", t.Kind)
		switch t.Kind {
		case Registered:
		case Predefined:
			v.require(t.ID != 0 && t.ID != 0xffff, key+"id", "is %d; a predefined id is 1 to 65534", t.ID)
			v.require(!p.own(), key+"name", "differs between the devices; a predefined id stands for one name")
		case Short:
			v.require(p.longest(g.From+max(g.Count, 1)) == 2 && len(p.of(g.From)) == 2, key+"name", "is %q; a short name has two octets", t.Name)
		default:
			v.require(false, key+"kind", "is %q; it must be empty, %s or %s", t.Kind, Predefined, Short)
		}
	}
}

func (v *validator) session() {
	g := v.group
	v.require(g.Count >= 0 && g.Count <= 1<<30, "count", "is %d; it must be 0 to %d", g.Count, 1<<30)
	if id, err := compile(g.ClientID, g.Name, ""); err != nil {
		v.add("client_id", err)
	} else {
		v.require(g.ClientID != "", "client_id", "is empty")
		v.require(id.own() || g.Count < 2, "client_id", "is %q for all %d devices; put %%i in it", g.ClientID, g.Count)
		v.require(!strings.Contains(g.ClientID, "/"), "client_id", "is %q; it must not hold a slash", g.ClientID)
	}
	const most = 65535
	seconds := g.Session.KeepAlive.Seconds()
	v.require(seconds >= 0 && seconds <= most && seconds == float64(int(seconds)), "keepalive",
		"is %v; it must be whole seconds up to %d", g.Session.KeepAlive, most)
	if w := g.Session.Will; w != nil {
		p := v.topic("will.topic", w.Topic)
		v.require(p.own() || g.Count < 2, "will.topic", "is %q for all devices; put %%i or %%c in it, to tell whose will it is", w.Topic)
		v.require(w.QoS <= 2, "will.qos", "is %d; it must be 0 to 2", w.QoS)
		v.require(len(w.Payload) <= 250, "will.payload", "has %d octets; it must be at most 250", len(w.Payload))
	}
}

// maxIdentity is how many octets of an identity anyone takes, RFC 4279 §5.3.
const maxIdentity = 128

func (v *validator) dtls() {
	g, d := v.group, v.group.DTLS
	if d == nil {
		return
	}
	p := v.pattern("dtls.identity", d.Identity)
	v.require(d.Identity != "", "dtls.identity", "is empty")
	v.require(!strings.Contains(p.of(g.From), ":"), "dtls.identity", "is %q; an identity holds no colon, as files of keys have one behind it", p.of(g.From))
	n := p.longest(g.From + max(g.Count, 1))
	v.require(n <= maxIdentity, "dtls.identity", "has up to %d octets; an identity has at most %d", n, maxIdentity)
	v.require(g.Address != Forwarder, "address", "is %s, which passes on what is in the clear; over DTLS choose own or port", g.Address)
}

func (v *validator) commands() {
	g, c := v.group, &v.group.Workload.Commands
	if c.Topic == "" {
		return // the workload says what that means
	}
	p := v.pattern("commands.topic", c.Topic)
	sends := c.Every > 0 || len(c.At) > 0
	if !sends {
		return // a filter to subscribe to, whatever comes
	}
	v.topic("commands.topic", c.Topic)
	if c.Broadcast {
		v.require(!p.own(), "commands.topic", "is %q, which differs between the devices; a broadcast goes to one topic", c.Topic)
	} else {
		v.require(p.own() || g.Count < 2, "commands.topic", "is %q for all devices; put %%i or %%c in it, or set broadcast", c.Topic)
	}
}
