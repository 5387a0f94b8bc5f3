package client

import "dormouse/mqttsn"

// Quirks are manners of firmware in the field that are not the
// specification's, each named after who has it. None is the specification.
// Sources: emcute.c of RIOT, mqtt_sn.c of Zephyr, MQTTSNClient.h of Eclipse
// Paho's embedded C library.
type Quirks uint32

const (
	// EmcuteNoDUP sends again without the DUP flag.
	EmcuteNoDUP Quirks = 1 << iota

	// EmcutePings asks once in each keep alive period, by the clock, whatever
	// else passes, and does not care for the answer.
	EmcutePings

	// EmcuteDeaf does not hear a DISCONNECT that it did not ask for. Nor does Paho.
	EmcuteDeaf

	// EmcuteStays takes itself for connected also when the gateway has not
	// answered a request: that has Ended with ErrNoAnswer, and nothing is Gone.
	EmcuteStays

	// EmcuteRefuses takes no message with DUP, at QoS 2 or by a predefined
	// id: it answers PUBACK 0x03.
	EmcuteRefuses

	// EmcuteNoRegister does not know the gateway's REGISTER: it neither
	// answers nor learns a name by it, and so gets nothing by wildcards.
	EmcuteNoRegister

	EmcuteNoSleep       // cannot sleep
	EmcuteNoQoS2        // cannot publish or subscribe at QoS 2. Nor does Paho, as it is built by default
	EmcuteNoQoSMinusOne // cannot publish at QoS -1
	EmcuteNamesOnly     // has topics with names and registered ids alone

	// PahoPings asks when the keep alive period has passed since the gateway
	// was heard, and then not again until that is answered; if it never is,
	// never.
	PahoPings

	// ZephyrPings asks at the end of each keep alive period, by the clock,
	// whatever else passes, and repeats a ping that is not answered.
	ZephyrPings

	// ZephyrOnce sends CONNECT and DISCONNECT once, and not again. Paho sends
	// everything once.
	ZephyrOnce

	// ZephyrLeaves takes the acknowledgement of its request to sleep for the
	// end of the connection: Sleep has Ended with ErrDisconnected, and to
	// wake is to Connect.
	ZephyrLeaves

	// ZephyrAccepts does not look at the return code of PUBACK.
	ZephyrAccepts

	// SleepTalk publishes while Asleep, without a CONNECT before, as several
	// clients do though 1.2 §6.14 says otherwise. The client stays Asleep,
	// and Awaits an answer.
	SleepTalk

	allQuirks = 1<<iota - 1
)

// Has reports whether all of x are among q.
func (q Quirks) Has(x Quirks) bool { return q&x == x }

// any reports whether some of x are among q.
func (q Quirks) any(x Quirks) bool { return q&x != 0 }

// CanSleep reports whether there is anything to Sleep for.
func (c *Config) CanSleep() bool { return !c.Quirks.Has(EmcuteNoSleep) }

// CanWake reports whether a sleeper can Wake. One that cannot, but can sleep,
// gets its messages by connecting again, to the session that was kept.
func (c *Config) CanWake() bool { return !c.Quirks.any(EmcuteNoSleep | ZephyrLeaves) }

// CanPublish reports whether messages can be published at q under a topic
// spelled like t.
func (c *Config) CanPublish(q mqttsn.QoS, t mqttsn.Topic) bool {
	if q == mqttsn.QoSMinusOne && c.Quirks.Has(EmcuteNoQoSMinusOne) {
		return false
	}
	return c.CanSubscribe(q, t)
}

// CanSubscribe reports whether a topic spelled like t can be subscribed to at q.
func (c *Config) CanSubscribe(q mqttsn.QoS, t mqttsn.Topic) bool {
	switch {
	case q == 2 && c.Quirks.Has(EmcuteNoQoS2),
		c.Quirks.Has(EmcuteNamesOnly) && (t.Kind == mqttsn.TopicPredefined || t.Kind == mqttsn.TopicShort):
		return false
	}
	return c.canName(len(t.Name))
}

func (c *Config) canName(octets int) bool { return c.MaxName == 0 || octets <= c.MaxName }
