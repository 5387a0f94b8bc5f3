// Package payload is what sensors say, written so that whoever hears it knows
// which of them said it and whether anything is missing.
package payload

import "time"

// A Tag tells one message of a run from all others.
type Tag struct {
	Device   uint32 // its number in the run, over all groups
	Stream   uint8  // which of the topics of the device; Command for what it is sent
	Sequence uint32 // from 1, for each device and stream
}

// Command is the stream of what a device is sent, and Broadcast that of what
// all devices of a group are sent in one message; its Device is the number of
// the group.
const (
	Command   = 255
	Broadcast = 254
)

// A Reading is what one message says.
type Reading struct {
	Tag   Tag
	At    time.Duration // since the start of the run, by the device's own clock
	Value float64
}

// Config is the form of a group's messages.
type Config struct {
	Format Format
	Size   int // octets, exactly; 0: as short as the format allows
}

// A Format is how a reading is written.
type Format string

// The formats.
const (
	Fixed     Format = "fixed" // a header of few octets, then noise
	JSON      Format = "json"
	CBOR      Format = "cbor"
	SenML     Format = "senml"      // RFC 8428, JSON
	SenMLCBOR Format = "senml-cbor" // RFC 8428, CBOR
)
