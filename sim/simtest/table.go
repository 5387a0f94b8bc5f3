// Package simtest is plans that tests of the simulator share.
package simtest

import (
	"fmt"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A Cell is one of the energy model's first results: what a sensor takes that
// reports 20 octets 96 times a day, over a radio that loses nothing.
type Cell struct {
	Radio, Column string
	Want          float64 // mAh a day

	// Plan is the run that has to come out so, of one device and three days:
	// the connection that it begins with hardly counts.
	Plan *sim.Plan
}

// Days is how long the plan of a cell runs.
const Days = 3

// Cells returns the table but for its columns with DTLS.
func Cells() []Cell {
	var all []Cell
	for _, r := range []struct {
		name, radio, board string
		answer             time.Duration // from the last octet of a request to the first of its answer
		want               [4]float64
	}{
		{"802.15.4", "802154-nrf52840", "soc-802154", 24 * time.Millisecond, [...]float64{0.087, 0.091, 0.096, 0.096}},
		{"BLE", "ble-nrf52840", "soc-ble", 24 * time.Millisecond, [...]float64{0.084, 0.085, 0.085, 0.085}},
		{"LoRa SF7", "lora-sx1261-sf7", "mcu-lora", time.Second, [...]float64{0.132, 0.143, 0.184, 0.173}},
		{"LoRa SF10", "lora-sx1261-sf10", "mcu-lora", time.Second, [...]float64{0.366, 0.409, 0.643, 0.582}},
		{"NB-IoT", "nbiot-generic", "module-nbiot", 270 * time.Millisecond, [...]float64{3.97, 4.15, 4.66, 4.63}},
	} {
		for i, column := range [...]string{"QoS 0", "QoS 1", "QoS 1 + sleep PINGREQ", "QoS 2"} {
			g := sensor(hardware(r.radio, r.board), r.answer)
			switch i {
			case 0, 1:
				g.Workload.Reports.QoS = mqttsn.QoS(i)
			case 2:
				g.Workload.Reports.QoS = 1
				g.Workload.Sleep = workload.Sleep{Policy: workload.Sleeping, For: 2 * time.Hour}
				g.Client.Quirks |= client.SleepTalk // a report and a PINGREQ in one wake
			case 3:
				g.Workload.Reports.QoS = 2
			}
			all = append(all, Cell{
				Radio: r.name, Column: column, Want: r.want[i],
				Plan: &sim.Plan{
					Name:   "energy table: " + r.name + ", " + column,
					Seed:   1,
					Groups: []*sim.Group{g},
					Stages: []sim.Stage{{Name: "days", For: Days * 24 * time.Hour}},
				},
			})
		}
	}
	return all
}

// sensor is a group of one. Its links have no rate: the hardware says how long
// a datagram is on the air.
func sensor(h energy.Hardware, answer time.Duration) *sim.Group {
	link := radio.Link{Latency: radio.Delay{Mean: answer / 2}}
	return &sim.Group{
		Name:     "sensors",
		Count:    1,
		ClientID: "sensor-00017", // 12 octets
		Firmware: sim.Full,
		Client:   client.DefaultConfig(),
		Topics:   []sim.Topic{{Name: "site/17"}},
		Workload: workload.Config{
			Reports: workload.Reports{Every: 15 * time.Minute, Payload: payload.Config{Size: 20}},
			Sleep:   workload.Sleep{Policy: workload.RadioOff},
		},
		Radio:    radio.Config{Up: link, Down: link},
		Hardware: &h,
	}
}

// hardware is the preset radio on the preset board, with two AA cells.
func hardware(name, board string) energy.Hardware {
	r, ok1 := energy.ProfileNamed(name)
	b, ok2 := energy.BoardNamed(board)
	c, ok3 := energy.BatteryNamed("2xaa-lithium")
	if !ok1 || !ok2 || !ok3 {
		panic(fmt.Sprintf("no preset %s, %s or 2xaa-lithium", name, board))
	}
	return energy.Hardware{Radio: r, Board: b, Battery: c, Celsius: 20}
}
