package payload

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// What messages in JSON are made of. The last string of each is noise and then
// the check over all that is before it, in eight hexadecimal digits.
//
//	{"device":17,"stream":0,"seq":42,"at":3600.250,"value":21.4,"noise":"5c1f0a92"}
//
//	[{"bn":"urn:dev:org:32473-17_0_","n":"seq","u":"count","v":42,"bt":1767229200.250},
//	{"n":"temperature","u":"Cel","v":21.4},{"n":"noise","vs":"5c1f0a92"}]
//
// The names of SenML are URNs of RFC 9039, with the enterprise number that
// RFC 5612 has for examples.
const (
	jsonDevice = `{"device":`
	jsonStream = `,"stream":`
	jsonSeq    = `,"seq":`
	jsonAt     = `,"at":`
	jsonValue  = `,"value":`
	jsonNoise  = `,"noise":"`
	jsonEnd    = `"}`

	urnDevice = "urn:dev:org:32473-"
	urnStream = "_"
	urnEnd    = "_"

	senmlDevice = `[{"bn":"` + urnDevice
	senmlSeq    = urnEnd + `","n":"seq","u":"count","v":`
	senmlTime   = `,"bt":`
	senmlValue  = `},{"n":"temperature","u":"Cel","v":`
	senmlNoise  = `},{"n":"noise","vs":"`
	senmlEnd    = `"}]`

	checkDigits = 8
)

// epoch is when runs begin where a time of day has to be told: 2026-01-01 UTC,
// in Unix seconds. SenML takes times from 2²⁸ on to be such, RFC 8428 §4.5.3.
const epoch = 1767225600 * time.Second

func (c Config) appendJSON(b []byte, r Reading) []byte {
	start := len(b)
	b = appendUint(append(b, jsonDevice...), r.Tag.Device)
	b = appendUint(append(b, jsonStream...), uint32(r.Tag.Stream))
	b = appendUint(append(b, jsonSeq...), r.Tag.Sequence)
	b = appendSeconds(append(b, jsonAt...), r.At)
	b = appendValue(append(b, jsonValue...), r.Value)
	return c.seal(append(b, jsonNoise...), start, r.Tag, jsonEnd)
}

func (c Config) appendSenML(b []byte, r Reading) []byte {
	start := len(b)
	b = appendUint(append(b, senmlDevice...), r.Tag.Device)
	b = appendUint(append(b, urnStream...), uint32(r.Tag.Stream))
	b = appendUint(append(b, senmlSeq...), r.Tag.Sequence)
	b = appendSeconds(append(b, senmlTime...), epoch+r.At)
	b = appendValue(append(b, senmlValue...), r.Value)
	return c.seal(append(b, senmlNoise...), start, r.Tag, senmlEnd)
}

// seal ends the message that begins at start with noise, as much as c asks
// for, and the check.
func (c Config) seal(b []byte, start int, t Tag, end string) []byte {
	b = appendLetters(b, t, c.Size-(len(b)-start)-checkDigits-len(end))
	b = appendHex(b, check(b[start:]))
	return append(b, end...)
}

func parseJSON(b []byte) (Tag, bool) {
	return parseText(b, jsonEnd, jsonDevice, jsonStream, jsonSeq)
}

func parseSenML(b []byte) (Tag, bool) {
	return parseText(b, senmlEnd, senmlDevice, urnStream, senmlSeq)
}

// parseText takes apart a message of which it is known what stands before each
// number of the tag, and at the end. The check answers for the rest.
func parseText(b []byte, end, device, stream, seq string) (t Tag, ok bool) {
	body, ok := bytes.CutSuffix(b, []byte(end))
	if !ok || len(body) < checkDigits {
		return Tag{}, false
	}
	body, digits := body[:len(body)-checkDigits], body[len(body)-checkDigits:]
	var want [checkDigits]byte
	if !bytes.Equal(digits, appendHex(want[:0], check(body))) {
		return Tag{}, false
	}
	t, rest, ok := cutTag(body, device, stream)
	if ok {
		_, ok = cutUint(rest, seq, &t.Sequence)
	}
	return t, ok
}

// appendURN appends the base name of what SenML in CBOR says.
func appendURN(b []byte, t Tag) []byte {
	b = appendUint(append(b, urnDevice...), t.Device)
	b = appendUint(append(b, urnStream...), uint32(t.Stream))
	return append(b, urnEnd...)
}

func parseURN(s string) (Tag, bool) {
	t, rest, ok := cutTag([]byte(s), urnDevice, urnStream)
	return t, ok && string(rest) == urnEnd
}

// cutTag takes the numbers of a device and a stream off b, each with what
// stands before it.
func cutTag(b []byte, device, stream string) (t Tag, rest []byte, ok bool) {
	var s uint32
	if rest, ok = cutUint(b, device, &t.Device); ok {
		rest, ok = cutUint(rest, stream, &s)
	}
	t.Stream = uint8(s)
	return t, rest, ok && s <= math.MaxUint8
}

// cutUint takes a prefix and a number off b.
func cutUint(b []byte, prefix string, v *uint32) (rest []byte, ok bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return b, false
	}
	b = b[len(prefix):]
	var x uint64
	n := 0
	for ; n < len(b) && '0' <= b[n] && b[n] <= '9'; n++ {
		if x = 10*x + uint64(b[n]-'0'); x > math.MaxUint32 {
			return b, false
		}
	}
	*v = uint32(x)
	return b[n:], n > 0
}

func appendUint(b []byte, v uint32) []byte { return strconv.AppendUint(b, uint64(v), 10) }

// appendSeconds appends d in seconds, with three decimals.
func appendSeconds(b []byte, d time.Duration) []byte {
	ms := d.Milliseconds()
	if ms < 0 {
		b = append(b, '-')
		ms = -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	ms %= 1000
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

func appendValue(b []byte, v float64) []byte {
	return strconv.AppendFloat(b, float64(single(v)), 'g', -1, 32)
}

// single is v in single precision, and 0 if that cannot hold it.
func single(v float64) float32 {
	f := float32(v)
	if f != f || math.IsInf(float64(f), 0) {
		return 0
	}
	return f
}

func appendHex(b []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}
