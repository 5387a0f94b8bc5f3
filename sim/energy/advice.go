package energy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"dormouse/mqttsn"
)

// Advice is what to change, and what that is worth.
type Advice struct {
	Text  string
	Saves float64 // mAh a day, at most
}

func (a Advice) String() string {
	return fmt.Sprintf("%s; saves up to %s mAh a day", a.Text, figure(a.Saves, 2))
}

func (g *Group) infeasible(t *Total) []string {
	var all []string
	say := func(n int, format string) {
		if n > 0 {
			all = append(all, fmt.Sprintf("infeasible on %s: "+format, g.Radio.Name, n))
		}
	}
	say(t.Payload, "%d packets are longer than the radio carries: send less at once, or choose a faster setting")
	say(t.DutyCycle, "%d packets are beyond the duty cycle: send less often, or choose a faster setting")
	return all
}

// negligible is the share of a device's drain below which nothing is said.
const negligible = 0.01

// advise weighs each change against the others, as if it were made alone.
func (g *Group) advise(t *Total, d Drain, topics []string) []Advice {
	sum := d.Sum()
	if sum == 0 {
		return nil
	}
	f := &g.Traffic
	octets := float64(max(1, f.Octets()))
	perDay := func(charge float64) float64 { return charge / microcoulombsPerMAh / t.Days }
	charge := func(types ...mqttsn.Type) (c float64) {
		for _, typ := range types {
			c += f.Types[typ].Charge
		}
		return perDay(c)
	}
	share := func(of float64) string { return percent(of / sum) }
	bytes := func(types ...mqttsn.Type) string {
		var n uint64
		for _, typ := range types {
			n += f.Types[typ].Octets
		}
		return percent(float64(n) / octets)
	}
	pings := f.Types[mqttsn.TypePingreq].Datagrams

	var all []Advice
	consider := func(saves float64, format string, args ...any) {
		if saves >= negligible*sum {
			all = append(all, Advice{fmt.Sprintf(format, args...), saves})
		}
	}
	consider(charge(mqttsn.TypeRegister, mqttsn.TypeRegack),
		"%s of the bytes are REGISTER: make %s predefined", bytes(mqttsn.TypeRegister), these(topics))
	consider(d[Retransmit],
		"%s of the charge goes into retransmissions: find out why answers do not come, from the link, the gateway, or a T_retry shorter than they take", share(d[Retransmit]))
	if !g.Lasting {
		consider(d[Handshake],
			"%s of the charge goes into DTLS handshakes: keep the session while the device sleeps, with a connection ID", share(d[Handshake]))
	}
	idle := perDay(f.Types[0].Waiting)
	consider(idle,
		"%s of the charge goes into listening for what may come: let the device sleep whenever it can, and ask for messages with PINGREQ", share(idle))
	publish := perDay(f.Types[mqttsn.TypePublish].Waiting)
	consider(publish+charge(mqttsn.TypePuback),
		"%s of the charge goes into waiting for the answer to PUBLISH: send at QoS 0 what may be lost, or several readings in one PUBLISH", share(publish))
	consider(charge(mqttsn.TypePubrel, mqttsn.TypePubcomp), // a PUBACK is as dear as a PUBREC
		"%s of the bytes are the handshake of QoS 2: QoS 1 does if the receiver tolerates duplicates",
		bytes(mqttsn.TypePubrec, mqttsn.TypePubrel, mqttsn.TypePubcomp))
	consider(charge(mqttsn.TypePingreq, mqttsn.TypePingresp)/2,
		"a device asks for messages with PINGREQ %s times a day: ask half as often", figure(float64(pings)/t.Days, 3))
	consider(d[Wake]/2,
		"%s of the charge goes into waking and network access: wake half as often, with two readings in one PUBLISH", share(d[Wake]))
	consider(d[Sleep]/2,
		"%s of the charge is the %s µA that flow while it sleeps: no setting of the protocol lowers them, but a board that draws half does",
		share(d[Sleep]), figure(g.Floor(), 3))
	slices.SortStableFunc(all, func(a, b Advice) int { return cmp.Compare(b.Saves, a.Saves) })
	return all
}

// figure writes v with so many significant figures, and all of those before the
// point: 21437 rather than 2.14e+04.
func figure(v float64, digits int) string {
	if v >= math.Pow10(digits-1) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', digits, 64)
}

// percent writes a share; what is not all must not look like all.
func percent(share float64) string {
	if share < 1 && share >= 0.995 {
		return "over 99 %"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// these names the topics, a few of them if there are many.
func these(topics []string) string {
	const few = 5
	switch n := len(topics); {
	case n == 0:
		return "the topics"
	case n == 1:
		return "the topic " + topics[0]
	case n <= few:
		return fmt.Sprintf("these %d topics (%s)", n, strings.Join(topics, ", "))
	default:
		return fmt.Sprintf("these %d topics (%s, …)", n, strings.Join(topics[:few], ", "))
	}
}
