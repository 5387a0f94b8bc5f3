// Package workload is when a sensor does what: its duty cycle, its sleep, what
// it is told, and how it fails. It is pure: times follow from the seed and the
// number of the device.
//
// A [Config] and [Ills] are of a group, a [State] is what is remembered of one
// device. Whoever drives the device asks when something is due, and says when
// it is done:
//
//	workload.Begin(&s, seed, 17, 1000, start, noon)
//	for at := c.Report(&s, &ills); at.Reached(now); at = c.Report(&s, &ills) {
//		publish()
//		skipped += c.Reported(&s, &ills, now)
//	}
//
// All moments are of the true time, and those that a device sets itself are
// where its own clock, which may be wrong, shows what was asked for.
package workload

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/sim/payload"
)

// Config is what the devices of a group do. The zero Config is to connect and
// be silent.
type Config struct {
	Reports  Reports
	Commands Commands
	Sleep    Sleep
}

// Reports is what devices publish.
type Reports struct {
	Every   time.Duration // between two reports of a device; zero: none
	Jitter  time.Duration // each is early or late by up to this; at most half of Every, in the busiest hour of Curve
	Aligned bool          // all devices at once, at whole multiples of Every since the start; otherwise each has its own offset
	Curve   Curve         // how the rate varies over the day; empty: it does not
	Bursts  Bursts
	QoS     mqttsn.QoS
	Retain  bool
	Payload payload.Config
}

// Bursts has a share of the reports followed by more: an event. They are over
// within Every. A report that falls into a burst begins no other.
type Bursts struct {
	Share   float64       // 0 to 1
	Count   int           // reports that follow
	Spacing time.Duration // between them
}

// A Curve is the rate of reports in each hour of the day: 24 figures from 0, or
// none. Only their proportions count, so that Every is the mean over a day.
type Curve []float64

// Commands is what devices are sent, over MQTT.
type Commands struct {
	Every     time.Duration   // to each device; zero: none
	Jitter    time.Duration   // at most half of Every
	At        []time.Duration // besides, at these times since the start of the stage
	Broadcast bool            // one message to all of the group, on one topic
	Topic     string          // pattern, as Group.ClientID; the devices subscribe to it
	QoS       mqttsn.QoS      // of the message and of the subscription
	Deadline  time.Duration   // from acceptance by the broker to the device; zero: none
	Payload   payload.Config
}

// A Policy is what a device does between reports.
type Policy string

// The policies. RadioOff is to switch the radio off without a word to the
// gateway, which fits devices that are sent nothing; Sleep is 1.2 §6.14.
const (
	Listening Policy = ""          // the radio stays on
	RadioOff  Policy = "radio-off" // it is on for what the device has to say, and for the answer
	Sleeping  Policy = "sleep"
)

// Sleep is how devices sleep.
type Sleep struct {
	Policy Policy
	For    time.Duration // the sleep duration asked for, whole seconds
	Poll   time.Duration // the time between two PINGREQ; zero: three quarters of For
	Jitter time.Duration // each PINGREQ is early by up to this
	// Aligned has all devices wake at once, at whole multiples of Poll since
	// the start.
	Aligned bool
	Linger  time.Duration // awake for so long after a report, before sleeping again
}

// Ills are what can be wrong with a device. Shares are of a group's devices, 0
// to 1, chosen by their numbers.
type Ills struct {
	Drift       float64       // the clocks of devices run wrong by up to so many ppm, either way
	RebootEvery time.Duration // mean time between two reboots, which forget all but the client id; zero: none
	RebootFor   time.Duration // without power
	Crying      float64       // share that report CryingRate times as often
	CryingRate  float64
	Stuck       float64       // share that fall silent for ever, without a goodbye
	StuckAfter  time.Duration // mean time from the start until then
}
