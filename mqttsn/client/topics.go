package client

import (
	"bytes"
	"slices"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Name returns a topic spelled in full: a name, or a filter to subscribe to.
func Name(name string) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte(name)}
}

// Predefined returns the topic that both sides know by id, 1.2 §6.7.
func Predefined(id uint16) mqttsn.Topic {
	return mqttsn.Topic{Kind: mqttsn.TopicPredefined, ID: id}
}

// Short returns the topic whose name is the two octets of name, 1.2 §6.7. ok
// is false for a name of any other length.
func Short(name string) (t mqttsn.Topic, ok bool) {
	if len(name) != 2 {
		return mqttsn.Topic{}, false
	}
	return mqttsn.Topic{Kind: mqttsn.TopicShort, ID: uint16(name[0])<<8 | uint16(name[1])}, true
}

// NameOf returns the name of a topic that is spelled in full or short. Of the
// others a message does not say it.
func NameOf(t mqttsn.Topic) (name string, ok bool) {
	switch t.Kind {
	case mqttsn.TopicName:
		return string(t.Name), true
	case mqttsn.TopicShort:
		return string([]byte{byte(t.ID >> 8), byte(t.ID)}), true
	}
	return "", false
}

// topics are the topic ids of one virtual connection, the oldest first.
type topics []struct {
	id   uint16
	name []byte
}

// set notes that id stands for name, and nothing else does, in place of the
// oldest if there are limit of them.
func (t *topics) set(id uint16, name []byte, limit int) {
	if known, ok := t.name(id); ok && bytes.Equal(known, name) {
		return
	}
	t.forget(func(old uint16, oldName []byte) bool { return old == id || bytes.Equal(oldName, name) })
	if len(*t) == limit {
		*t = slices.Delete(*t, 0, 1)
	}
	*t = append(*t, topics{{id, bytes.Clone(name)}}...)
}

func (t *topics) forget(which func(id uint16, name []byte) bool) {
	kept := (*t)[:0]
	for _, e := range *t {
		if !which(e.id, e.name) {
			kept = append(kept, e)
		}
	}
	clear((*t)[len(kept):])
	*t = kept
}

func (t topics) name(id uint16) ([]byte, bool) {
	for i := range t {
		if t[i].id == id {
			return t[i].name, true
		}
	}
	return nil, false
}

func (t topics) id(name []byte) (uint16, bool) {
	for i := range t {
		if bytes.Equal(t[i].name, name) {
			return t[i].id, true
		}
	}
	return 0, false
}

// learn notes a topic id that the gateway has given. It reports false for one
// that it must not give, 1.2 §5.3.11.
func (c *Client) learn(id uint16, name []byte) bool {
	if id == 0 || id == 0xffff {
		return false
	}
	c.topics.set(id, name, c.cfg.MaxTopics)
	return true
}

// Register asks the gateway for the id of a topic name, 1.2 §6.5. There is no
// need to: Publish does it.
func (c *Client) Register(now clock.Time, name string, out *Actions) error {
	if !c.cfg.canName(len(name)) {
		return ErrUnsupported
	}
	if err := c.free(Active); err != nil {
		return err
	}
	x := out.exchange(ToRegister)
	x.name = append(x.name, name...)
	x.register = mqttsn.Register{ID: c.nextID(), Name: x.name}
	return c.begin(now, x, &x.register, out)
}

// onRegack takes the id that was asked for. Where it was asked for to publish,
// the publishing goes on.
func (c *Client) onRegack(now clock.Time, p *mqttsn.Regack, out *Actions) {
	if !c.awaiting(mqttsn.TypeRegister, p.ID) {
		return
	}
	c.answered(now)
	err := c.refusal(now, mqttsn.TypeRegister, p.Reason)
	if err == nil && !c.learn(p.TopicID, c.x.register.Name) {
		err = &RefusedError{mqttsn.TypeRegister, mqttsn.InvalidTopicID}
	}
	switch {
	case err != nil:
		c.end(err, out)
	case c.x.request == ToRegister:
		c.endAs(Outcome{Topic: mqttsn.Topic{ID: p.TopicID}}, out)
	default:
		c.must(c.proceed(now, out), out)
	}
}

// onRegister learns an id that the gateway is about to publish under, 1.2
// §6.10. That it comes again is no news, but wants an answer.
func (c *Client) onRegister(p *mqttsn.Register, out *Actions) {
	if c.cfg.Quirks.Has(EmcuteNoRegister) {
		out.Stray++
		return
	}
	known, ok := c.topics.name(p.TopicID)
	again := ok && bytes.Equal(known, p.Name)
	answer := &out.answers.regack
	*answer = mqttsn.Regack{TopicID: p.TopicID, ID: p.ID}
	if !c.learn(p.TopicID, p.Name) {
		answer.Reason = mqttsn.InvalidTopicID
	}
	c.repeat(answer, again, out)
}
