// Package payload is what sensors say, written so that whoever hears it knows
// which of them said it and whether anything is missing.
//
// Every message ends in a check over all of it, but for Fixed, where it stands
// in front: what [Parse] takes was written by [Config.Append] and not changed
// on the way. Something else passes for ours by chance once in 2³² times.
package payload

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"dormouse/sim/chance"
)

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
	Value float64       // in single precision; what that cannot hold is written as 0
}

// Config is the form of a group's messages. The zero Config is Fixed, and as
// short as that can be.
type Config struct {
	Format Format // empty: Fixed
	Size   int    // octets, exactly; 0: as short as the format and the reading allow
}

// A Format is how a reading is written.
type Format string

// The formats. All but Fixed hold the time and the value too. Where a size is
// asked for, noise makes it up, which no radio could compress.
const (
	Fixed     Format = "fixed" // a header of few octets, then noise
	JSON      Format = "json"
	CBOR      Format = "cbor"       // a map with small numbers as keys
	SenML     Format = "senml"      // RFC 8428, JSON
	SenMLCBOR Format = "senml-cbor" // RFC 8428, CBOR
)

// MaxSize is the longest message that a PUBLISH of MQTT-SN 1.2 can hold: 65,535
// octets less its header, §5.4.12.
const MaxSize = math.MaxUint16 - 9

// longest is a reading that no other is longer than, in any format.
var longest = Reading{
	Tag:   Tag{Device: math.MaxUint32, Stream: math.MaxUint8, Sequence: math.MaxUint32},
	At:    math.MinInt64 + 1,
	Value: -1.1754944e-38,
}

// Validate reports everything wrong with c, under the keys format and size.
func (c Config) Validate() error {
	switch c.Format {
	case "", Fixed, JSON, CBOR, SenML, SenMLCBOR:
	default:
		return fmt.Errorf("format is %q; it must be %s, %s, %s, %s or %s", c.Format, Fixed, JSON, CBOR, SenML, SenMLCBOR)
	}
	if least := c.MinSize(); c.Size != 0 && (c.Size < least || c.Size > MaxSize) {
		return fmt.Errorf("size is %d; in the format %s it must be %d to %d octets, or 0 for as short as it gets",
			c.Size, c.format(), least, MaxSize)
	}
	return nil
}

// MinSize is the least Size with which every reading can be written.
func (c Config) MinSize() int {
	return len(Config{Format: c.Format}.Append(nil, longest))
}

func (c Config) format() Format {
	if c.Format == "" {
		return Fixed
	}
	return c.Format
}

// Append appends the message that says r to b. c is valid. Fixed, JSON and
// SenML do not allocate if b has the room.
func (c Config) Append(b []byte, r Reading) []byte {
	switch c.Format {
	case JSON:
		return c.appendJSON(b, r)
	case SenML:
		return c.appendSenML(b, r)
	case CBOR, SenMLCBOR:
		return c.appendCBOR(b, r)
	}
	return c.appendFixed(b, r.Tag)
}

// Parse returns the tag of a message of any format, which it knows by the
// first octet. It reports false for what Append has not written, or what was
// changed since.
func Parse(b []byte) (Tag, bool) {
	if len(b) == 0 {
		return Tag{}, false
	}
	switch first := b[0]; {
	case first == magic:
		return parseFixed(b)
	case first == '{':
		return parseJSON(b)
	case first == '[':
		return parseSenML(b)
	case first>>5 == majorArray || first>>5 == majorMap:
		return parseCBOR(b)
	}
	return Tag{}, false
}

// Value is what a thermometer at the device shows, in degrees Celsius, at a
// time since the start of the run: a place has a mean of its own, days are
// warmer than nights, and no two readings are the same.
func (t Tag) Value(at time.Duration) float64 {
	const day = 24 * time.Hour
	place := unit(chance.Mix(uint64(t.Device)<<8 | uint64(t.Stream)))
	now := unit(t.noise())
	sun := math.Sin(2 * math.Pi * float64(at%day) / float64(day))
	return math.Round(100*(15+10*place+4*sun+0.5*now)) / 100
}

// magic begins a fixed message. It is 'D', and begins no other format.
const magic = 'D'

// fixedHeader is magic, device (4), stream, sequence (4), and the check (3)
// over what is before and behind it.
const fixedHeader = 1 + 4 + 1 + 4 + 3

func (c Config) appendFixed(b []byte, t Tag) []byte {
	start := len(b)
	b = append(b, magic)
	b = binary.BigEndian.AppendUint32(b, t.Device)
	b = append(b, t.Stream)
	b = binary.BigEndian.AppendUint32(b, t.Sequence)
	b = append(b, 0, 0, 0)
	b = appendNoise(b, t, c.Size-fixedHeader)
	m := b[start:]
	sum := fixedCheck(m)
	m[10], m[11], m[12] = byte(sum>>16), byte(sum>>8), byte(sum)
	return b
}

func parseFixed(b []byte) (Tag, bool) {
	if len(b) < fixedHeader {
		return Tag{}, false
	}
	if sum := uint32(b[10])<<16 | uint32(b[11])<<8 | uint32(b[12]); sum != fixedCheck(b) {
		return Tag{}, false
	}
	return Tag{
		Device:   binary.BigEndian.Uint32(b[1:]),
		Stream:   b[5],
		Sequence: binary.BigEndian.Uint32(b[6:]),
	}, true
}

// fixedCheck is 24 bits of the check over all of a fixed message but the check.
func fixedCheck(m []byte) uint32 {
	return crc32.Update(check(m[:fixedHeader-3]), crc32.IEEETable, m[fixedHeader:]) & 0xffffff
}

// check is the check over what comes before it.
func check(b []byte) uint32 { return crc32.ChecksumIEEE(b) }
