// Package drive makes a simulated fleet go: in virtual time against a gateway
// in the same process, or by the wall clock against any gateway over UDP.
package drive

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/transport/dtls/handshake"
	"dormouse/mqttsn/transport/dtls/record"
	"dormouse/sim"
	"dormouse/sim/udp"
)

// An Observer is an MQTT client beside the fleet. It finds out what the broker
// makes of the fleet's reports, and publishes the commands.
type Observer interface {
	// Hear says who is told of each message. It is called once, before
	// Subscribe. What f is told is f's only until it returns.
	Hear(f func(topic string, payload []byte, qos byte, retained bool))

	// Subscribe returns when the broker has granted the subscription, which
	// the observer renews by itself if the broker forgets it.
	Subscribe(filter string, qos byte) error

	// Publish publishes. The payload is Publish's only until it returns. It
	// calls done once, at once or later: when the broker has acknowledged the
	// message, or at QoS 0 when it is sent, or when that has failed.
	Publish(topic string, payload []byte, qos byte, retain bool, done func(error))

	Close() error
}

// A World is a gateway and its broker, in virtual time and on one goroutine.
// It calls the functions that it is given only within a call of its own
// methods. All calls at one moment come after the Step that told it the time,
// but for Hear and Subscribe, which come before the first.
type World interface {
	Observer

	Step(now clock.Time) // what is due by now is done
	Next() clock.Time    // when something is due next; zero: never

	// Receive is a datagram that reaches the gateway's socket. b is its only
	// until it returns.
	Receive(from netip.AddrPort, b []byte)

	// Sent yields what the gateway has sent since it was last asked. The octets
	// are valid until the next call of the World.
	Sent(yield func(to netip.AddrPort, b []byte) bool)

	// Restart kills the gateway and its broker, all at once and without a word,
	// and starts them again with what they have kept. The observer is
	// subscribed as before, and what it was publishing has failed or not.
	Restart(now clock.Time) error
}

// A Network carries the datagrams of a run by the wall clock: a [udp.Network]
// does. Each shard is used by one goroutine, but for Wake and Shed.
type Network interface {
	Target() netip.AddrPort
	Secured() netip.AddrPort
	Attach(shard int, modes []udp.Mode) error
	Send(shard int, batch []udp.Datagram) error
	Receive(shard int, wait time.Duration, sink func(batch []udp.Datagram)) error
	Wake(shard int)
	Shed(shard int) uint64
}

// Options says what is to happen beside a run.
type Options struct {
	// Every is the time between samples, in the run's own. Zero: a
	// two-hundredth of the run, and at least a second.
	Every time.Duration

	// Sample is told of each sample, and of the final figures. It may keep
	// them. The run in virtual time waits for it to return.
	Sample func(*sim.Stats)

	// Changes are made as they come: Done is told how that went, and must have
	// room for it.
	Changes <-chan Request

	// Speed is how many times faster than the wall clock virtual time goes at
	// most. Zero: as fast as it can.
	Speed float64

	// Pause stops virtual time, if true, and lets it go on.
	Pause <-chan bool

	// Restart kills the gateway of a run by the wall clock, starts it again
	// after it was down for so long, and returns when it serves and the
	// observer is subscribed again. Without it, a plan with such events is
	// refused.
	Restart func(ctx context.Context, down time.Duration) error

	// Prove returns what a device does a handshake with, by the wall clock.
	// Without it, a plan whose devices speak DTLS is refused.
	Prove func(h *sim.Handshake) (*handshake.Proof, error)

	// Meet does a handshake of a device with the gateway of a run in virtual
	// time, for real and all at once. What was said is said again, over the
	// radio. Without it, such a plan is refused in virtual time.
	Meet func(from netip.AddrPort, h *sim.Handshake) (*Meeting, error)

	// Patience is how long a run by the wall clock waits for a word from the
	// gateway that has been asked for one. Zero: 20 s.
	Patience time.Duration

	// Shards is how many goroutines share the devices of a run by the wall
	// clock. Zero: one per core.
	Shards int
}

// A Request is a change of a group while it runs.
type Request struct {
	Change *sim.Change
	Done   chan<- error
}

// An Outcome is what became of a run.
type Outcome struct {
	Plan *sim.Plan

	// Samples are evenly spaced, and at most 1,000. Latencies and violations
	// are in the Final figures alone, which are not among the Samples.
	Samples []*sim.Stats
	Final   *sim.Stats

	Ran     time.Duration // in the run's own time
	Elapsed time.Duration // by the wall clock
	Virtual bool
	Cut     error // why it ended early; what was owed then is no violation
}

// The errors of a run.
var (
	ErrNoGateway   = errors.New("no word from the gateway")
	ErrGatewayGone = errors.New("no more word from the gateway")
	ErrDown        = errors.New("the gateway is down") // why a command was not published
	errOver        = errors.New("the run is over")
)

// A fleet is a [sim.Fleet].
type fleet interface {
	Step(now clock.Time)
	Next() clock.Time
	Endpoints() int
	Addressing(e sim.Endpoint) sim.Addressing
	Secured(e sim.Endpoint) bool
	Handshakes(yield func(*sim.Handshake) bool)
	Say(now clock.Time, h *sim.Handshake, b []byte)
	Agreed(now clock.Time, h *sim.Handshake, a *record.Association, err error)
	Datagrams(yield func(e sim.Endpoint, b []byte) bool)
	Receive(now clock.Time, e sim.Endpoint, b []byte)
	Filters() []sim.Subscription
	Heard(now clock.Time, topic string, payload []byte, retained bool)
	Publications(yield func(*sim.Publication) bool)
	Published(now clock.Time, p *sim.Publication, err error)
	Restarted(now clock.Time)
	Apply(now clock.Time, c *sim.Change) error
	Close(now clock.Time)
	Cut(now clock.Time)
	Settled() bool
	Stats(s *sim.Stats)
}

// subscribe has ob hear what the fleets of a run have to know.
func subscribe(ob Observer, f fleet, hear func(topic string, payload []byte, qos byte, retained bool)) error {
	ob.Hear(hear)
	for _, s := range f.Filters() {
		if err := ob.Subscribe(s.Filter, s.QoS); err != nil {
			return err
		}
	}
	return nil
}

// length is how long a run of p takes.
func length(p *sim.Plan) time.Duration { return p.Duration() + p.Settle }
