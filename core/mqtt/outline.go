package mqtt

import "github.com/mochi-mqtt/server/v2/packets"

// An outline is what is not checked yet of a packet. After an error nothing is
// left of it, and the first one stays.
type outline struct {
	rest []byte
	err  error
}

func (o *outline) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	o.rest = nil
}

// end returns the first error. Octets that are left are one, too.
func (o *outline) end() error {
	if len(o.rest) > 0 {
		o.fail(packets.ErrMalformedPacket)
	}
	return o.err
}

// skip returns the next n octets, or nil if they are not all there.
func (o *outline) skip(n int) []byte {
	if n > len(o.rest) {
		o.fail(packets.ErrMalformedPacket)
		return nil
	}
	b := o.rest[:n]
	o.rest = o.rest[n:]
	return b
}

// number reads a number of n octets; zero if they are not all there.
func (o *outline) number(n int) (value uint32) {
	for _, b := range o.skip(n) {
		value = value<<8 | uint32(b)
	}
	return value
}

func (o *outline) octet() byte { return byte(o.number(1)) }

// field skips a field that begins with its length in two octets.
func (o *outline) field() {
	o.skip(int(o.number(2)))
}

// integer reads a variable byte integer.
func (o *outline) integer() int {
	value, n, err := length(o.rest)
	if n == 0 || err != nil {
		o.fail(packets.ErrMalformedVariableByteInteger)
		return 0
	}
	o.skip(n)
	return value
}

// property skips the value of a property that a client may send, and returns
// it if it is a number of fixed size.
func (o *outline) property(id byte) (value uint32) {
	switch id {
	case packets.PropPayloadFormat, packets.PropRequestProblemInfo, packets.PropRequestResponseInfo:
		return o.number(1)
	case packets.PropReceiveMaximum, packets.PropTopicAliasMaximum, packets.PropTopicAlias:
		return o.number(2)
	case packets.PropMessageExpiryInterval, packets.PropSessionExpiryInterval, packets.PropWillDelayInterval, packets.PropMaximumPacketSize:
		return o.number(4)
	case packets.PropSubscriptionIdentifier:
		o.integer()
	case packets.PropContentType, packets.PropResponseTopic, packets.PropCorrelationData,
		packets.PropAuthenticationMethod, packets.PropAuthenticationData, packets.PropReasonString:
		o.field()
	case packets.PropUser:
		o.field()
		o.field()
	default:
		o.fail(packets.ErrProtocolViolation)
	}
	return 0
}
