package energy

import (
	"fmt"
	"time"
)

// Where the figures come from.
const (
	nrf52840PS  = "nRF52840 Product Specification, current consumption"
	nrf54l15PS  = "nRF54L15 Datasheet, current consumption"
	cc2340DS    = "TI SWRS272 (CC2340R5), power consumption"
	ieee802154  = "IEEE 802.15.4 PHY and MAC constants, as in ns-3 lr-wpan"
	semtechRAL  = "Semtech SWL2001, smtc_ral/src/ral_sx126x.c, DC-DC regulator"
	semtechTime = "Semtech AN1200.13, SX1272 data sheet §4.1.1.7"
	loraRegions = "LoRaWAN Regional Parameters 1.0.3revA"
	saraN2      = "u-blox SARA-N2 data sheet, as quoted by Exelonix"
	model       = "none: chosen to be typical"
)

// Profiles is every radio preset, new for each call: change them at will.
func Profiles() []Profile {
	all := []Profile{nrf52840Thread(), cc2340(), nrf52840BLE(), nrf54l15()}
	for sf := 7; sf <= 12; sf++ {
		all = append(all, sx1261(sf), sx1262(sf))
	}
	return append(all, nbiot())
}

// ProfileNamed is the preset of that name.
func ProfileNamed(name string) (Profile, bool) { return named(Profiles(), name) }

func named[T interface{ name() string }](all []T, name string) (t T, ok bool) {
	for _, t := range all {
		if t.name() == name {
			return t, true
		}
	}
	return t, false
}

func (p Profile) name() string { return p.Name }
func (b Board) name() string   { return b.Name }
func (b Battery) name() string { return b.Name }

func thread() *IEEE802154 {
	return &IEEE802154{
		Octet: 32 * time.Microsecond, PHY: 6, MAC: 23, Frame: 127,
		Header: 10, Fragment: 5, Ack: 11,
		CSMA:       1120 * time.Microsecond, // (2^macMinBE-1)/2 backoff periods of 320 µs
		Turnaround: 192 * time.Microsecond, AckWait: 864 * time.Microsecond, Retries: 3,
	}
}

var threadSources = []Source{
	{"32 µs an octet, frame of 127, turnaround of 12 symbols, backoff period of 20", ieee802154, false},
	{"macMinBE 3, waiting 54 symbols for an acknowledgement, 3 retries", "defaults of IEEE 802.15.4, not looked up", true},
	{"MAC 23 octets", "control 2, sequence 1, PAN 2, long addresses 16, FCS 2", false},
	{"header 10 octets: IPHC and UDP compressed, one long address in line", "RFC 6282; depends on the network", true},
	{"listening through all of CSMA; no polling of a parent", model, true},
}

func nrf52840Thread() Profile {
	return Profile{
		Name: "802154-nrf52840", Tx: 6.40, Rx: 6.53, Wait: 6.53, Sleep: 1.5, Link: thread(),
		Sources: append([]Source{
			{"tx 6.40 mA at 0 dBm, rx 6.53 mA", nrf52840PS + " IRADIO_TX5, IRADIO_RX2", false},
			{"sleep 1.5 µA", nrf52840PS + ", System ON with RTC", false},
		}, threadSources...),
	}
}

func cc2340() Profile {
	return Profile{
		Name: "802154-cc2340", Tx: 5.1, Rx: 5.3, Wait: 5.3, Sleep: 0.71, Link: thread(),
		Sources: append([]Source{
			{"tx 5.1 mA at 0 dBm (10.7 mA at +8 dBm), rx 5.3 mA", cc2340DS + ", radio modes; stated for GFSK, taken for 802.15.4", true},
			{"sleep 0.71 µA", cc2340DS + ", standby with RTC and LFOSC", false},
		}, threadSources...),
	}
}

func ble() *BLE {
	return &BLE{
		Octet: 8 * time.Microsecond, Overhead: 10, PDU: 251, Header: 16,
		Space: 150 * time.Microsecond, Event: 8,
	}
}

var bleSources = []Source{
	{"octet, PDU, T_IFS", "Bluetooth Core 5.0, Vol 6 Part B", false},
	{"header 16 octets: L2CAP 6, IPHC and UDP 10", "RFC 7668; depends on the network", true},
	{"event 8 µC, one for each datagram", model, true},
	{"upkeep of the link not included: one connection event a second adds 8 µA, 0.19 mAh a day; set radio.upkeep", model, true},
}

func nrf52840BLE() Profile {
	return Profile{
		Name: "ble-nrf52840", Tx: 6.40, Rx: 6.26, Wait: 6.26, Sleep: 1.5, Link: ble(),
		Sources: append([]Source{
			{"tx 6.40 mA at 0 dBm, rx 6.26 mA", nrf52840PS + " IRADIO_TX1, IRADIO_RX0", false},
			{"sleep 1.5 µA", nrf52840PS + ", System ON with RTC", false},
		}, bleSources...),
	}
}

func nrf54l15() Profile {
	return Profile{
		Name: "ble-nrf54l15", Tx: 4.8, Rx: 3.4, Wait: 3.4, Sleep: 2.9, Link: ble(),
		Sources: append([]Source{
			{"tx 4.8 mA at 0 dBm, rx 3.4 mA", nrf54l15PS + " IRADIO_TX0, IRADIO_RX0", false},
			{"sleep 2.9 µA", nrf54l15PS + ", System ON idle with GRTC and 256 KB of RAM, as quoted on devzone.nordicsemi.com", false},
		}, bleSources...),
	}
}

// The SX1261 transmits +14 dBm with its low-power amplifier. The SX1262 has
// the high-power one alone, which takes three and a half times as much.
func sx1261(sf int) Profile {
	return lora("lora-sx1261", 25.5, sf, Source{"tx 25.5 mA at +14 dBm", semtechRAL + ", low-power amplifier", false})
}

func sx1262(sf int) Profile {
	return lora("lora-sx1262", 89.3, sf, Source{"tx 89.3 mA at +14 dBm (117.9 mA at +22 dBm)", semtechRAL + ", high-power amplifier", false})
}

func lora(chip string, tx float64, sf int, source Source) Profile {
	return Profile{
		Name: fmt.Sprintf("%s-sf%d", chip, sf), Tx: tx, Rx: 4.6, Wait: 4.6, Sleep: 0.6, DutyCycle: 0.01,
		Link: &LoRa{
			SF: sf, Bandwidth: 125_000, Coding: 1, Preamble: 8,
			MaxPayload: [...]int{7: 222, 8: 222, 9: 115, 10: 51, 11: 51, 12: 51}[sf],
			Window:     50 * time.Millisecond, Second: 2 * time.Second,
		},
		Sources: []Source{
			source,
			{"rx 4.6 mA", semtechRAL + ", LoRa, not boosted", false},
			{"sleep 0.6 µA, warm start", "Mbed OS SX126X driver, SleepMode.txt", false},
			{"airtime", semtechTime, false},
			{"payload of 51, 115, 222 octets; second window after 2 s", loraRegions, false},
			{"duty cycle 1 %", "ETSI EN 300 220, 868.0 to 868.6 MHz", false},
			{"no header below UDP: LoRaWAN adds 13 octets and its network server", model, true},
			{"window of 50 ms, a preamble at least; both windows at the same spreading factor", model, true},
		},
	}
}

func nbiot() Profile {
	return Profile{
		Name: "nbiot-generic", Tx: 220, Rx: 46, Wait: 22, Sleep: 4,
		Access: Phase{2 * time.Second, 45}, Tail: Phase{5 * time.Second, 8},
		Link: &NBIoT{Rate: 20_000, Header: 28, Grant: 40 * time.Millisecond, Repetitions: 1, MTU: 1500},
		Sources: []Source{
			{"tx 220 mA at 23 dBm, rx 46 mA", saraN2, false},
			{"sleep 4 µA in PSM", "3 to 5 µA: SARA-N2 3 µA, nRF9160 2.7 µA; the middle is taken", true},
			{"waiting 22 mA, mean of connected DRX", model, true},
			{"access 2 s at 45 mA, inactivity tail 5 s at 8 mA: the network decides, 5 to 20 s are usual", model, true},
			{"20 kbit/s, 40 ms of transmitting for each grant, repetitions 1, 8, 32 for CE 0, 1, 2", model, true},
		},
	}
}

// Boards is every board preset, new for each call.
func Boards() []Board {
	leakage := Source{"leakage 2 µA", model, true}
	cortexM4 := Source{"processor 3.3 mA", nrf52840PS + ", CoreMark from flash", false}
	return []Board{
		{
			Name: "soc-802154", Sleep: 2, Wake: 20 * time.Millisecond, Waking: 4, CPU: 3.3,
			Sources: []Source{leakage, cortexM4, {"wake 20 ms at 4 mA", model, true}},
		},
		{
			Name: "soc-ble", Sleep: 2, CPU: 3.3,
			Sources: []Source{leakage, cortexM4, {"no wake beside the connection event", model, true}},
		},
		{
			Name: "mcu-lora", Sleep: 3, Wake: 3 * time.Millisecond, Waking: 1.6, CPU: 1.6,
			Sources: []Source{leakage, {"processor asleep 1 µA, awake 1.6 mA; wake 3 ms", model, true}},
		},
		{
			Name: "module-nbiot", Sleep: 2, CPU: 4,
			Sources: []Source{leakage, {"processor 4 mA; its waking is within the radio's access", model, true}},
		},
	}
}

// BoardNamed is the preset of that name.
func BoardNamed(name string) (Board, bool) { return named(Boards(), name) }

// Batteries is every battery preset, new for each call.
func Batteries() []Battery {
	share := Source{"85 % usable, 70 % of it at -20 °C", model, true}
	return []Battery{
		{
			Name: "cr2032", Capacity: 225, Usable: 0.85, SelfDischarge: 0.015, Cold: 0.7, Pulse: 15,
			Sources: []Source{
				{"225 mAh", "embeddedcomputing.com, 3 January 2025, on Panasonic's and Energizer's data sheets", false},
				{"self-discharge 1.5 % a year", "Rayovac, Li-MnO2", false},
				{"pulse 15 mA", "encyc.org; Energizer promises 6.8 mA for 2 s", true},
				share,
			},
		},
		{
			Name: "2xaa-lithium", Capacity: 3000, Usable: 0.85, SelfDischarge: 0.007, Cold: 0.7, Pulse: 2000,
			Sources: []Source{
				{"3000 mAh", "Energizer, as quoted on candlepowerforums.com", false},
				{"self-discharge 0.7 % a year", "Energizer L91 data sheet, as quoted on candlepowerforums.com: 90 % after 15 years", false},
				{"pulse 2 A", "Energizer L91, not looked up", true},
				share,
			},
		},
		{
			Name: "ls14500", Capacity: 2600, Usable: 0.85, SelfDischarge: 0.01, Cold: 0.7, Pulse: 250,
			Sources: []Source{
				{"2600 mAh, pulse 250 mA", "Saft LS 14500, not looked up", true},
				{"self-discharge 1 % a year", "Saft LS series", false},
				share,
			},
		},
	}
}

// BatteryNamed is the preset of that name.
func BatteryNamed(name string) (Battery, bool) { return named(Batteries(), name) }
