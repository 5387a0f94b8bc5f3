package mqtt

import (
	"fmt"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
	"dormouse/core/router"
)

// A reply is what is to be answered to a SUBSCRIBE or UNSUBSCRIBE. It is sent
// with the answer to its last filter.
type reply struct {
	c       *conn
	ack     packets.Packet
	pending int // filters that core has not answered
}

// reply begins the answer, of type t, to so many filters.
func (c *conn) reply(t byte, id uint16, filters int) *reply {
	return &reply{c: c, ack: packets.Packet{
		FixedHeader: packets.FixedHeader{Type: t},
		PacketID:    id,
		ReasonCodes: make([]byte, filters),
	}}
}

// put answers the i-th filter. The reason string is about the first refusal.
func (r *reply) put(i int, code packets.Code) {
	codes := r.ack.ReasonCodes
	codes[i] = code.Code
	if code.Code < packets.ErrUnspecifiedError.Code {
		return
	}
	if r.c.version < 5 {
		codes[i] = packets.ErrUnspecifiedError.Code // the only one, 3.1.1 §3.9.3
	} else if why := &r.ack.Properties.ReasonString; *why == "" {
		*why = fmt.Sprintf("filter %d of %d: %s", i+1, len(codes), code.Reason)
	}
}

// heard puts core's answer to the i-th filter. They come one after the other.
func (r *reply) heard(i int, code packets.Code) {
	r.put(i, code)
	if r.pending--; r.pending == 0 {
		r.c.end()
		r.c.answer(&r.ack)
	}
}

// subscribe asks core for each filter that may be asked for at all. A bridge
// has its own messages already, where it does not share them, and keeps what is
// retained retained.
func (c *conn) subscribe(pk *packets.Packet) packets.Code {
	ids := pk.Properties.SubscriptionIdentifier
	if len(ids) > 1 || len(ids) == 1 && ids[0] == 0 {
		return packets.ErrProtocolViolation // MQTT 5 §3.8.2.1.2
	}
	if code := pk.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	r := c.reply(packets.Suback, pk.PacketID, len(pk.Filters))
	ask := make([]int, 0, len(pk.Filters))
	for i, f := range pk.Filters {
		code := c.mayAsk(f.Filter)
		switch {
		case f.NoLocal && strings.HasPrefix(f.Filter, sharePrefix):
			return packets.ErrProtocolViolationInvalidSharedNoLocal // [MQTT-3.8.3-4]
		case code != packets.CodeSuccess:
			r.put(i, code)
		default:
			ask = append(ask, i)
		}
	}
	if len(ask) == 0 {
		c.answer(&r.ack)
		return packets.CodeSuccess
	}
	c.begin()
	r.pending = len(ask)
	for _, i := range ask {
		f := &pk.Filters[i]
		shared := strings.HasPrefix(f.Filter, sharePrefix)
		c.session.Subscribe(core.Subscription{
			Filter:            strings.Clone(f.Filter), // not to keep the packet for it
			QoS:               core.QoS(min(int(f.Qos), c.server.o.MaxQoS)),
			NoLocal:           f.NoLocal || c.guard.bridge && !shared,
			RetainAsPublished: f.RetainAsPublished || c.guard.bridge,
			RetainHandling:    f.RetainHandling,
			ID:                uint32(f.Identifier),
		}, func(qos core.QoS, err error) {
			r.heard(i, granted(qos, err))
		})
	}
	return packets.CodeSuccess
}

const sharePrefix = "$share/"

// mayAsk says what of our own settings keeps a client from asking for a
// filter, or that nothing does.
func (c *conn) mayAsk(filter string) packets.Code {
	o, refused := &c.server.o, &c.server.filters
	shared := strings.HasPrefix(filter, sharePrefix)
	switch {
	case shared && !o.SharedSubscriptions:
		refused.shared.Add(1)
		return packets.ErrSharedSubscriptionsNotSupported
	case !o.WildcardSubscriptions && router.HasWildcard(filter):
		refused.wildcards.Add(1)
		return packets.ErrWildcardSubscriptionsNotSupported
	case !shared && isShare(filter):
		return packets.Code{
			Code:   packets.ErrTopicFilterInvalid.Code,
			Reason: "a shared subscription begins with $share/, in lower case, a name and /",
		}
	}
	return packets.CodeSuccess
}

// isShare reports whether filter begins as if a shared subscription were
// meant, however it is written. Nothing is ever published there.
func isShare(filter string) bool {
	first, _, _ := strings.Cut(filter, "/")
	return strings.EqualFold(first, "$share")
}

// granted is core's answer to one filter of a SUBSCRIBE.
func granted(qos core.QoS, err error) packets.Code {
	if err != nil {
		return reasonFor(err, packets.ErrTopicFilterInvalid)
	}
	return packets.Code{Code: byte(qos)}
}

// unsubscribe asks core for each filter.
func (c *conn) unsubscribe(pk *packets.Packet) packets.Code {
	if code := pk.UnsubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	r := c.reply(packets.Unsuback, pk.PacketID, len(pk.Filters))
	c.begin()
	r.pending = len(pk.Filters)
	for i, f := range pk.Filters {
		c.session.Unsubscribe(f.Filter, func(existed bool, err error) {
			code := packets.CodeSuccess
			switch {
			case err != nil:
				code = reasonFor(err, packets.ErrTopicFilterInvalid)
			case !existed:
				code = packets.CodeNoSubscriptionExisted
			}
			r.heard(i, code)
		})
	}
	return packets.CodeSuccess
}

// refuseFilters answers a SUBSCRIBE or UNSUBSCRIBE of more filters than one
// may have, as many times as it has filters, without looking into them. The
// only way to say no to the latter before MQTT 5 is to hang up.
func (c *conn) refuseFilters() {
	c.server.filters.tooMany.Add(1)
	ack, code := packets.Suback, packets.ErrQuotaExceeded
	if c.guard.kind == packets.Unsubscribe {
		ack, code = packets.Unsuback, packets.ErrImplementationSpecificError // all that §3.11.3 has
	}
	if ack == packets.Unsuback && c.version < 5 {
		c.part(packets.ErrQuotaExceeded)
		return
	}
	r := c.reply(ack, c.guard.id, c.guard.filters)
	code.Reason = fmt.Sprintf("more than %d filters in one packet", c.server.o.MaxFilters)
	for i := range r.ack.ReasonCodes {
		r.put(i, code)
	}
	c.answer(&r.ack)
}
