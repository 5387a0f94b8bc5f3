package scenario

import (
	"reflect"

	"dormouse/configs/strict"
	"dormouse/sim"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A choice is a word of a file and what it is to the simulator.
type choice struct{ name, value string }

// choicesOf are the words that a field of a type may have; the first is what
// an empty field is.
var choicesOf = map[reflect.Type][]choice{
	reflect.TypeFor[sim.Firmware]():   same(sim.Full, sim.Emcute, sim.Paho, sim.Zephyr),
	reflect.TypeFor[sim.Addressing](): append([]choice{{"own", string(sim.OwnAddress)}}, same(sim.OwnPort, sim.Forwarder)...),
	reflect.TypeFor[sim.TopicKind]():  append([]choice{{"registered", string(sim.Registered)}}, same(sim.Predefined, sim.Short)...),
	reflect.TypeFor[sim.Spread]():     append([]choice{{"linear", string(sim.Linear)}}, same(sim.Normal)...),
	reflect.TypeFor[sim.EventKind](): same(sim.Restart, sim.Outage, sim.Rebind, sim.Reuse, sim.Reboot, sim.WakeUp,
		sim.Stuck, sim.Leave, sim.Set),
	reflect.TypeFor[workload.Policy]():    append([]choice{{"listening", string(workload.Listening)}}, same(workload.RadioOff, workload.Sleeping)...),
	reflect.TypeFor[payload.Format]():     same(payload.Fixed, payload.JSON, payload.CBOR, payload.SenML, payload.SenMLCBOR),
	reflect.TypeFor[radio.Distribution](): same(radio.Constant, radio.Uniform, radio.Normal, radio.LogNormal),
	reflect.TypeFor[pace]():               same(all, stages),
	reflect.TypeFor[transport]():          same(overUDP, overDTLS),
}

func same[T ~string](values ...T) []choice {
	var cs []choice
	for _, v := range values {
		cs = append(cs, choice{string(v), string(v)})
	}
	return cs
}

// names writes choices in words.
func names(cs []choice) string {
	var words []string
	for _, c := range cs {
		words = append(words, c.name)
	}
	return strict.OneOf(words)
}

// wordOf is how a file writes a field with choices.
func wordOf(v reflect.Value) string {
	cs := choicesOf[v.Type()]
	for _, c := range cs {
		if c.value == v.String() {
			return c.name
		}
	}
	return cs[0].name
}
