package sim

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
)

// NumStates is how many states a device can be in: those of its client, and
// Off.
const (
	Off       = int(client.Leaving) + 1 // without power, or not switched on yet
	NumStates = Off + 1
)

// A Latency is a time that is measured.
type Latency int

// The latencies.
const (
	ToConnect    Latency = iota // CONNECT to CONNACK
	ToAck                       // a report's first PUBLISH to its last acknowledgement
	ToSubscriber                // a report's first PUBLISH to the subscriber
	ToDrain                     // PINGREQ of a sleeper to PINGRESP
	ToDevice                    // a command's acknowledgement by the broker to its arrival
	NumLatencies
)

func (l Latency) String() string {
	return [...]string{"connect", "ack", "subscriber", "drain", "command"}[l]
}

// Stats is where a run stands. Figures are sums since the start but for what
// is a state. Fleets of one run add up.
type Stats struct {
	At     time.Duration // since the start, in the run's own time
	Stage  string
	Groups []GroupStats

	Broken     uint64             // invariants
	Violations []ledger.Violation // the first hundred

	// Shed counts datagrams that this machine dropped, not the radio: the
	// figures of a run with any are not to be believed.
	Shed uint64

	// Late is how late this machine was at most in having devices do what was
	// due, by the wall clock. What takes that long may be its fault, and not
	// the gateway's.
	Late time.Duration

	// Silent is for how long the gateway has owed this fleet an answer, of which
	// it has given none since, by the wall clock.
	Silent time.Duration
}

// GroupStats is how one group fares.
type GroupStats struct {
	Name    string
	Devices int
	States  [NumStates]int

	Up, Down Direction
	Ledger   ledger.Counts

	Connects   uint64 // CONNACK accepted
	Refused    uint64 // CONNACK with another reason
	Lost       uint64 // connections that ended without a goodbye of the device
	Wakes      uint64
	Reboots    uint64
	Rebindings uint64

	// Secured says that devices speak DTLS. Handshakes of it were done;
	// HandshakesAgain are those of devices that
	// had done one before in this run.
	Secured                                       bool
	Handshakes, HandshakesAgain, HandshakesFailed uint64

	Skipped uint64 // reports that fell due while others waited, and were never made; in no other count
	Deaf    uint64 // datagrams that reached a device whose radio was off

	Latency [NumLatencies]*hdrhistogram.Histogram // of microseconds, up to 30 days; nil: none yet

	Energy *EnergyStats // nil: not asked for
}

// A Direction is what went one way, by the device's end of the radio.
type Direction struct {
	Datagrams uint64
	Octets    uint64
	Resent    uint64 // datagrams sent again, of Datagrams
	Types     [mqttsn.NumTypes]TypeCount
	Radio     radio.Counts

	Handshake TypeCount // of DTLS, in no type
	Sealing   uint64    // octets that records add to what is in them, of Octets
}

// A TypeCount counts the packets of one type.
type TypeCount struct{ Datagrams, Octets uint64 }

// EnergyStats is what a group took from its batteries.
type EnergyStats struct {
	Total   energy.Total
	Traffic energy.Traffic
	Report  energy.Report
	Years   []float64 // the projected life of each device, at most some 1,000 of them, evenly chosen; only at the end of a run
}
