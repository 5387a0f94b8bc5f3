package bench

import (
	"encoding/binary"
	"errors"
	"fmt"

	"dormouse/mqttsn"
)

// wake measures one QoS 1 message to each of 100,000 sleepers, who then wake
// as fast as they are answered; and once more, at half that rate.
func (h *harness) wake() error {
	for _, d := range h.Durabilities {
		if err := h.wakeOf(d); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) wakeOf(d Durability) error {
	a, err := h.fallAsleep(d, h.size(100_000))
	if err != nil {
		return err
	}
	defer a.close()
	m := newMail(a, a.sensors.everybody())
	if err := m.send(); err != nil {
		return err
	}
	profiled := h.profile(a.broker, string(d), h.For)
	before := a.cpu()
	full := a.sensors.perform(m.wake(0))
	spent := a.cpu() - before
	f := h.add(d, "wakes with a message each", full.rate(), "wakes/s").atLeast(30_000)
	m.counts(f, full)
	h.add(d, "wakes with a message each, CPU", micros(spent)/float64(max(1, full.done)), "µs/wake")
	if err := errors.Join(profiled(), m.whole(), m.send()); err != nil {
		return err
	}
	half := a.sensors.perform(m.wake(full.rate() / 2))
	f = h.add(d, "PINGREQ to PINGRESP at half that rate, p99", half.p99(), "ms").atMost(50)
	m.counts(f, half)
	return errors.Join(m.whole(), a.alive())
}

// mail is messages to sleepers, one to each and round.
type mail struct {
	*asleep
	to    []int32
	round uint32   // of the messages, which say so; from 1
	got   []uint32 // by sensor: the latest round of which it has the message

	delivered, twice int // in this round
}

func newMail(a *asleep, to []int32) *mail {
	m := &mail{asleep: a, to: to, got: make([]uint32, a.sensors.size)}
	a.sensors.onMessage = m.heard
	return m
}

func (m *mail) heard(e int32, p *mqttsn.Publish) {
	round := binary.BigEndian.Uint32(p.Payload)
	if m.got[e] == round {
		m.twice++
		return
	}
	m.got[e] = round
	m.delivered++
}

// send publishes the messages of a new round. They are all in the broker when
// it returns.
func (m *mail) send() error {
	l, err := newClients(m.sensors.ctx, m.name, m.mqtt)
	if err != nil {
		return err
	}
	defer l.close()
	m.round, m.delivered, m.twice = m.round+1, 0, 0
	payload := binary.BigEndian.AppendUint32(nil, m.round)
	pub := l.dial("publisher")
	const flying = 50
	for _, e := range m.to {
		l.publish(pub, newMessage(command(e), 1, false, payload), flying)
	}
	l.land(pub)
	return l.err
}

// wake is each sleeper's PINGREQ, which is over when PINGRESP comes.
func (m *mail) wake(rate float64) task {
	return task{
		steps: 1, window: window, rate: rate, who: m.to,
		request: func(e int32, _ int) mqttsn.Packet { return &mqttsn.Pingreq{ClientID: []byte(sensorID(e))} },
		answers: func(_ int32, _ int, p mqttsn.Packet) (bool, error) {
			switch p.(type) {
			case *mqttsn.Pingresp:
				return true, nil
			case *mqttsn.Disconnect:
				return false, errors.New("is told to connect anew")
			}
			return false, nil
		},
	}
}

func (m *mail) counts(f *Figure, o outcome) {
	f.count("wakes", o.done).count("delivered", m.delivered).count("twice", m.twice).count("asked_again", o.again)
}

// whole returns an error unless everybody has the message of this round.
func (m *mail) whole() error {
	if m.sensors.err != nil {
		return m.sensors.err
	}
	if missing := len(m.to) - m.delivered; missing != 0 {
		return fmt.Errorf("%d of %d sleepers did not get their message", missing, len(m.to))
	}
	return nil
}
