package scenario

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A file is what a scenario file says. Keys that are not given keep the
// defaults. Where a key's value is of another package, its keys are the fields
// there. The comments, here and there, are the documentation that
// reference.yaml shows; a test writes it.
//
// The order of the fields is the order in which keys are read, whatever their
// order in the file: a group may name a radio that stands below it.
type file struct {
	// What it is called in reports. Empty: the name of the file.
	Name string

	// What it shows, in one sentence.
	About string

	// All chance follows from it: the same seed, the same run.
	Seed uint64

	// After the last stage devices report nothing new for so long, so that what
	// is under way arrives. Long enough for every sleeper to wake once.
	Settle time.Duration

	// The time of day at the start, for daily curves: 0s is midnight.
	Noon time.Duration

	// What a shorter run scales (--duration): "all", the devices' own times too,
	// so that the same happens faster; or "stages", those and the faults alone, so
	// that batteries drain as they would. A longer run never changes the devices'.
	// Times of a device are its reports, commands, sleep, keep alive, retry, ills,
	// NAT and random outages; settle goes with them. sleep.for and keepalive are
	// whole seconds, rounded up. What would get shorter than the protocol allows (a
	// sleep of 1s, a retry of 100ms) is refused.
	Scale pace

	// What is known of the gateway.
	Gateway gateway

	// Places with outages that groups have in common.
	Sites []site

	// Radios that groups have in common: "radio: NAME" in a group.
	Radios []radioLink

	// Devices that are alike, by name.
	Groups []group

	// What stages have groups do, by name: any of the keys reports, commands and
	// sleep of a group. What is not said here is as the group has it.
	Workloads []overlay

	// What happens, one after another. The run is as long as they are together.
	Stages []stage

	// What befalls the devices, or the gateway, besides.
	Faults []fault

	// What the run's figures must be, such as "reports.lost == 0" or
	// "meters: drain.p99 < 5s", of the group meters alone. One that is not met
	// fails the run.
	Thresholds []threshold

	// What is different in a run shorter than below: keys of this file, laid over
	// it. Use it where whole seconds or retries get too short by mere scaling.
	Short short
}

// A pace is what a shorter run scales.
type pace string

const (
	all    pace = "all"
	stages pace = "stages"
)

// A gateway is what is known of the one that is simulated against.
type gateway struct {
	// Whether it loses its sessions when it is killed. What it owes then is
	// forgiven, and counted.
	Forgets bool
}

// A site is a place with outages of its own.
type site struct {
	Name string `yaml:"-"`

	// When nothing is carried there.
	Outages radio.Outages
}

// A radioLink is the radio of devices.
type radioLink struct {
	Name string `yaml:"-"`

	// Keys of both directions. Loss is a share, lost by chance: 20%; a preset,
	// lost in bursts: good, indoor-15.4, harsh or nbiot-deep; or {p, r, 1-h, 1-k,
	// step} as of netem's gemodel. Latency is 30ms, 30ms±10ms (uniform), or
	// {distribution, mean, spread}.
	Both radio.Link `yaml:",inline"`

	// The same keys for one direction: from the devices, and to them.
	Up   radio.Link
	Down radio.Link

	// Whether a device sends and receives in turn.
	HalfDuplex bool

	// How long an address is a device's.
	NAT radio.NAT

	// When nothing is carried. Faults do the same, for some devices.
	Outages radio.Outages

	shared string // the name it has in radios
}

// A group is devices that are alike. Patterns may hold %i, the number of the
// device in its group, %c, its client id, %g, the group's name, and %%.
type group struct {
	Name string `yaml:"-"`

	// How many devices.
	Count int `min:"1" max:"1000000"`

	// Pattern.
	ClientID string

	// Whose manners they have. What it cannot do is refused: emcute does not
	// sleep.
	Firmware sim.Firmware

	// How often an unanswered packet is sent again, and after how long. Left out:
	// as the firmware does.
	Retry retry

	// The longest silence of an active device. Whole seconds.
	KeepAlive time.Duration `min:"0s" max:"65535s"`

	// Whether devices forget at each connection. At their first they do.
	CleanSession bool

	// What the gateway publishes for a device that is lost.
	Will *sim.Will

	// Where they report, in turn: patterns, or {name, kind, id}. A short name has
	// two octets; a predefined one is known to the gateway by its id.
	Topics []sim.Topic

	// How they are told apart by their addresses, against a gateway on the
	// network: own has an address for each, port a socket, and with forwarder they
	// are behind one.
	Address sim.Addressing

	// How they speak to the gateway: over udp, in the clear, or over dtls.
	Transport transport

	// Who they are to it, over dtls.
	DTLS credentials

	// What devices do, unless a stage has another workload for them.
	Workload workload.Config `yaml:",inline"`

	// What is wrong with some.
	Ills workload.Ills

	// The name of one in radios, or the keys of one. Left out: all arrives, at
	// once.
	Radio radioLink

	// One of sites.
	Site string

	// What they are made of. Left out: no word on batteries.
	Energy *hardware
}

// A transport is what carries what devices say.
type transport string

const (
	overUDP  transport = "udp"
	overDTLS transport = "dtls"
)

// credentials are what devices have over DTLS 1.2, and what they know of it.
type credentials struct {
	// Pattern: the identity of a device's pre-shared key.
	Identity string

	// File with a key for each identity, as the gateway's. Left out, the keys are
	// made up, which goes with virtual time and with --serve.
	PSKFile string

	// Whether they know connection ids. Who does not needs a handshake whenever it
	// wakes, as it may have another address by then.
	CID bool

	// How long a device waits before it repeats what is not answered of a
	// handshake, and then twice as long each time: 1s by RFC 6347, and 9s by RFC
	// 7925 for slow radios.
	Retry time.Duration `min:"100ms" max:"60s"`
}

// A retry is what to do when nobody answers.
type retry struct {
	Interval *time.Duration `min:"100ms" max:"5m"`
	Max      *int           `min:"0" max:"20"`
}

// hardware is what batteries have to feed. Each part is the name of a preset,
// or {preset, and its fields in any number}. Currents are in mA, of sleep in
// µA.
type hardware struct {
	// 802154-nrf52840, 802154-cc2340, ble-nrf52840, ble-nrf54l15,
	// lora-sx1261-sf7 to -sf12, lora-sx1262-sf7 to -sf12, nbiot-generic.
	Radio part[energy.Profile]

	// soc-802154, soc-ble, mcu-lora, module-nbiot.
	Board part[energy.Board]

	// cr2032, 2xaa-lithium, ls14500.
	Battery part[energy.Battery]

	// °C where they are: what cold takes from the battery.
	Temperature float64 `min:"-40" max:"60" unit:"°C"`
}

// A part is a preset of hardware, and what is different.
type part[T any] struct {
	// Whose fields the others change.
	Preset string

	// Where those other figures come from. Without it reports call them assumed.
	Source string

	Of T `yaml:",inline"`
}

// A stage is a time in which groups keep to their workloads.
type stage struct {
	Name string

	// How long it takes.
	For time.Duration `min:"1ms" max:"3650d"`

	// Who does what from here on: {GROUP: WORKLOAD}. Who is not named goes on.
	Workload []assignment

	// Who is switched on: {GROUP: {over: 5m, spread: normal}}, or {GROUP: 5m}.
	// Groups that no stage names are switched on at the start, all at once.
	Arrive []arrival
}

// An assignment gives a group a workload.
type assignment struct {
	Name     string `yaml:"-"`
	Workload string `yaml:"-"`
}

// An arrival switches a group on.
type arrival struct {
	Name     string `yaml:"-"`
	sim.Ramp `yaml:",inline"`
}

// A fault is something that befalls a group, or all.
type fault struct {
	// When, since the start.
	At time.Duration

	// gateway-restart: killed, and started again after for. outage: nothing is
	// carried for so long. nat-rebinding: other addresses, without a word.
	// port-reuse: each other's addresses. reboot: start again, after for without
	// power. wake: sleepers wake now. stuck: silent for ever. leave: say goodbye.
	// set: the group changes.
	Kind sim.EventKind

	// Whom. Left out: all.
	Group string

	// How many of them.
	Share float64 `min:"0" max:"1"`

	// How long an outage or a restart takes, or a reboot's time without power.
	For time.Duration

	// What changes: reports, commands, sleep, ills, radio and retry as of a group.
	Set overlay
}

// A threshold is read by package report.
type threshold string

// short is what a short run has different.
type short struct {
	// Runs shorter than this.
	Below time.Duration
}

// defaults returns what a file starts from.
func defaults() *file {
	return &file{Seed: 1, Settle: time.Minute, Scale: all}
}

// setDefaults is where an entry of a list starts.
func (g *group) setDefaults() {
	*g = group{
		Name: g.Name, Count: 100, ClientID: "%g-%i", Firmware: sim.Full, KeepAlive: 5 * time.Minute,
		Topics: []sim.Topic{{Name: "%g/%i"}}, Transport: overUDP, DTLS: credentials{Identity: "%c", CID: true, Retry: time.Second},
		Workload: workload.Config{
			Reports: workload.Reports{QoS: 1, Payload: payload.Config{Format: payload.Fixed, Size: 20}},
			Commands: workload.Commands{
				QoS:     mqttsn.QoS(1),
				Payload: payload.Config{Format: payload.Fixed, Size: 20},
			},
		},
	}
}

func (f *fault) setDefaults() { f.Share = 1 }

func (h *hardware) setDefaults() {
	h.Temperature = 20
	h.Radio.setDefaults("802154-nrf52840")
	h.Board.setDefaults("soc-802154")
	h.Battery.setDefaults("2xaa-lithium")
}
