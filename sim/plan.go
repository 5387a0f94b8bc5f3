// Package sim is many battery-powered sensors on one machine: a [Plan] says
// what they are and do, a [Fleet] is them. It is driven from outside, by the
// wall clock or in virtual time, and does no input or output: see sim/drive.
package sim

import (
	"time"

	"dormouse/mqttsn/client"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// A Plan is a scenario in terms of the parts that carry it out. It is checked
// where it is made, by sim/scenario, and does not change but as a Change says.
type Plan struct {
	Name   string
	About  string // one sentence
	Seed   uint64
	Settle time.Duration // after the last stage nothing new is done for so long
	Noon   time.Duration // the time of day at the start, for daily curves: 0 is midnight
	Groups []*Group
	Stages []Stage
	Events []Event
	Sites  map[string]radio.Outages // places with outages shared by groups

	// Forgets says that the gateway loses its sessions when it is restarted:
	// what it owes then is forgiven, and counted.
	Forgets bool

	// Live says that the run is by the wall clock and over sockets, which may
	// lose what the radio did not: the oracles allow for that. Drivers set it.
	Live bool

	Thresholds []Threshold
}

// Duration is how long the stages take.
func (p *Plan) Duration() (d time.Duration) {
	for i := range p.Stages {
		d += p.Stages[i].For
	}
	return d
}

// A Group is devices that are alike.
//
// Patterns, as of client ids and topics, may hold %i, the number of the device
// in its group from 0 on, %c, its client id, %g, the name of its group, and %%.
type Group struct {
	Name     string
	Count    int
	From     int    // what %i is for the first device
	ClientID string // pattern
	Firmware Firmware
	Client   client.Config
	Session  Session
	Topics   []Topic // reports go to one after another
	Workload workload.Config
	Ills     workload.Ills
	Radio    radio.Config // without Site
	Site     string       // of Plan.Sites; empty: none
	Hardware *energy.Hardware
	Address  Addressing
	DTLS     *DTLS // nil: devices speak plain UDP
}

// DTLS is how devices and the gateway know each other. The keys are the
// driver's business.
type DTLS struct {
	Identity string // pattern: of a pre-shared key
	KeyFile  string // of identities and keys; empty: they are made up
	CID      bool   // devices know connection ids; those who do not need a handshake whenever they wake

	// Retry is how long a device waits before it repeats what is not answered of a
	// handshake, and then twice as long each time. Zero: a second.
	Retry time.Duration
}

// Identity is that of device n of the group, counted from 0.
func (g *Group) Identity(n int) string { return must(g, g.DTLS.Identity).of(g.From + n) }

// Octets that a record of DTLS 1.2 with AES-128-CCM-8 has beside what is in it:
// header, explicit nonce and tag; and a connection id as long as Dormouse's with
// an inner type, RFC 9146.
const (
	recordOctets = 13 + 8 + 8
	cidOctets    = 8 + 1
)

// Sealing is by how many octets DTLS makes a datagram longer, if the gateway's
// connection ids are of 8 octets. Devices want none in what they are sent.
func (d *DTLS) Sealing(down bool) int {
	switch {
	case d == nil:
		return 0
	case d.CID && !down:
		return recordOctets + cidOctets
	}
	return recordOctets
}

// Session is how devices connect.
type Session struct {
	KeepAlive time.Duration
	// CleanSession is for each connection. The first of a run is always clean;
	// who needs a session that is kept connects once more then. That does not
	// count among Connects.
	CleanSession bool
	Will         *Will
}

// A Will is what the gateway publishes for a device that is lost.
type Will struct {
	Topic   string // pattern
	Payload string
	QoS     uint8
	Retain  bool
}

// A Topic is where a device publishes.
type Topic struct {
	Name string // pattern; of two octets for Short
	Kind TopicKind
	ID   uint16 // Predefined: the id under which the gateway knows Name

	// Numbered has each report go to a topic of its own: the name, a slash, and
	// the number of the report. Only for Registered.
	Numbered bool
}

// A TopicKind is how a topic is put in a PUBLISH.
type TopicKind string

// The kinds of topics.
const (
	Registered TopicKind = "" // by an id that the gateway gives
	Predefined TopicKind = "predefined"
	Short      TopicKind = "short"
)

// Firmware is whose manners a device has.
type Firmware string

// The firmwares: those of RIOT's emcute, Paho's embedded C client, Zephyr, and
// one that does all of the specification.
const (
	Full   Firmware = "full"
	Emcute Firmware = "emcute"
	Paho   Firmware = "paho"
	Zephyr Firmware = "zephyr"
)

// Addressing is how devices are told apart by their addresses.
type Addressing string

// The ways of addressing. In virtual time they are all OwnAddress.
const (
	OwnAddress Addressing = ""          // each has its own, of 127.0.0.0/8 or a /64
	OwnPort    Addressing = "port"      // each has a socket
	Forwarder  Addressing = "forwarder" // they are behind one forwarder, by node id
)

// A Stage is a time in which groups keep to their workloads.
type Stage struct {
	Name      string
	For       time.Duration
	Workloads map[string]workload.Config // by group; who is not named goes on as before
	Arrive    map[string]Ramp            // groups that are switched on in this stage
}

// A Ramp spreads what many devices do over a time.
type Ramp struct {
	Over   time.Duration
	Spread Spread
}

// A Spread is how a ramp spreads.
type Spread string

// The spreads.
const (
	Linear Spread = ""
	Normal Spread = "normal" // around the middle of the ramp
)

// An Event is something that befalls a group, or all, at a time.
type Event struct {
	At    time.Duration // since the start
	Kind  EventKind
	Group string        // empty: all
	Share float64       // of the devices, 0 to 1; 0 is all of them, as 1 is
	For   time.Duration // Outage, Restart, Reboot
	Set   *Change       // Set
}

// An EventKind is a kind of event.
type EventKind string

// The kinds of events.
const (
	Restart EventKind = "gateway-restart" // kill -9, and start again after For
	Outage  EventKind = "outage"          // nothing is carried
	Rebind  EventKind = "nat-rebinding"   // devices get other addresses: at once, without a word
	Reuse   EventKind = "port-reuse"      // devices get each other's addresses
	Reboot  EventKind = "reboot"          // devices start again, after For without power
	WakeUp  EventKind = "wake"            // sleepers wake now, all at once
	Stuck   EventKind = "stuck"           // devices fall silent for ever
	Leave   EventKind = "leave"           // devices say goodbye
	Set     EventKind = "set"             // a group changes
)

// A Change is another group in place of the one of that name. Only its
// Workload, Ills and Radio may differ, and its Client's retry.
type Change struct{ Group *Group }

// A Threshold is a figure of a run and its bound, such as
// "reports.lost == 0" or "drain.p99 < 5s".
type Threshold struct {
	Metric string  // as report.Metrics names them
	Group  string  // empty: all of them taken together
	Op     string  // "<", "<=", "==", ">=", ">"
	Bound  float64 // times in seconds
	Text   string  // as it was written
}
