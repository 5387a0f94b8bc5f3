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

// no stands for what the radio cannot carry.
const no = 0

// radios are the rows of the table. Answer is from the last octet of a request to
// the first of its answer.
var radios = [...]struct {
	name, radio, board string
	answer             time.Duration
	want               [4]float64 // in the clear
	secured            [2]float64 // over DTLS
}{
	{"802.15.4", "802154-nrf52840", "soc-802154", 24 * time.Millisecond, [...]float64{0.087, 0.091, 0.096, 0.096}, [...]float64{0.091, 0.111}},
	{"BLE", "ble-nrf52840", "soc-ble", 24 * time.Millisecond, [...]float64{0.084, 0.085, 0.085, 0.085}, [...]float64{0.085, 0.087}},
	{"LoRa SF7", "lora-sx1261-sf7", "mcu-lora", time.Second, [...]float64{0.132, 0.143, 0.184, 0.173}, [...]float64{0.180, 0.632}},
	{"LoRa SF10", "lora-sx1261-sf10", "mcu-lora", time.Second, [...]float64{0.366, 0.409, 0.643, 0.582}, [...]float64{no, no}},
	{"NB-IoT", "nbiot-generic", "module-nbiot", 270 * time.Millisecond, [...]float64{3.97, 4.15, 4.66, 4.63}, [...]float64{4.25, 6.55}},
}

// Secured returns the table's columns with DTLS and pre-shared keys, of radios
// that can carry it. What they want was computed: octets of a handshake and of
// records, and no CONNECT after a handshake.
func Secured() []Cell {
	var all []Cell
	for _, r := range radios {
		for i, column := range [...]string{"QoS 1 DTLS+CID", "PSK handshake each wake"} {
			if r.secured[i] == no {
				continue
			}
			g := sensor(hardware(r.radio, r.board), r.answer)
			g.Workload.Reports.QoS = 1
			g.DTLS = &sim.DTLS{Identity: "%c", CID: i == 0, Retry: 9 * time.Second}
			all = append(all, cell(r.name, column, r.secured[i], g))
		}
	}
	return all
}

// Cells returns the table but for its columns with DTLS.
func Cells() []Cell {
	var all []Cell
	for _, r := range radios {
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
			all = append(all, cell(r.name, column, r.want[i], g))
		}
	}
	return all
}

func cell(radio, column string, want float64, g *sim.Group) Cell {
	return Cell{
		Radio: radio, Column: column, Want: want,
		Plan: &sim.Plan{
			Name:   "energy table: " + radio + ", " + column,
			Seed:   1,
			Groups: []*sim.Group{g},
			Stages: []sim.Stage{{Name: "days", For: Days * 24 * time.Hour}},
		},
	}
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
