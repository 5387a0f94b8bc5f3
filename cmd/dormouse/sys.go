package main

import (
	"strconv"

	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport/udp"
)

// addSys adds to $SYS what core does not know. Mosquitto's names are for the
// MQTT edge: packets of every type, and the octets of its sockets. Those of
// MQTT-SN are below mqttsn/.
func (s *server) addSys() {
	b := s.broker
	b.AddSys(func(yield func(name, value string)) { gateway.Sys(s.gateways(), yield) })
	b.AddSys(func(yield func(name, value string)) { udp.Sys(s.conns(), yield) })
	b.AddSys(func(yield func(name, value string)) {
		yield("mqttsn/buffer/messages", strconv.Itoa(b.Stats().ForSensors))
	})
	b.AddSys(s.memory.sys)
	b.AddSys(s.kept.sys)
	for name, count := range map[string]func() uint64{
		"messages/received": func() uint64 { return s.mqtt.Stats().Received.Packets },
		"messages/sent":     func() uint64 { return s.mqtt.Stats().Sent.Packets },
		"bytes/received":    func() uint64 { return s.mqtt.Stats().Received.Bytes },
		"bytes/sent":        func() uint64 { return s.mqtt.Stats().Sent.Bytes },
	} {
		b.AddSys(func(yield func(name, value string)) { yield(name, strconv.FormatUint(count(), 10)) })
		b.AddLoad(name, count)
	}
	b.AddLoad("sockets", func() uint64 { return s.mqtt.Stats().Accepted })
}
