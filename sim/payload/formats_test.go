package payload

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"
)

func drawSize(t *rapid.T, f Format) Config {
	return Config{f, rapid.OneOf(rapid.Just(0), rapid.IntRange(Config{Format: f}.MinSize(), 600)).Draw(t, "size")}
}

// TestJSON has others read our JSON.
func TestJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyReading.Draw(t, "reading")
		var got struct {
			Device, Seq uint32
			Stream      uint8
			At, Value   float64
			Noise       string
		}
		b := drawSize(t, JSON).Append(nil, r)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if (Tag{got.Device, got.Stream, got.Seq}) != r.Tag || float32(got.Value) != single(r.Value) ||
			!closeTo(got.At, r.At) {
			t.Fatalf("%s is not %+v", b, r)
		}
	})
}

// TestCBOR has others read our CBOR.
func TestCBOR(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyReading.Draw(t, "reading")
		b := drawSize(t, CBOR).Append(nil, r)
		var got map[int]any
		if err := cbor.Unmarshal(b, &got); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if got[1] != uint64(r.Tag.Device) || got[2] != uint64(r.Tag.Stream) || got[3] != uint64(r.Tag.Sequence) ||
			!closeTo(got[4].(float64), r.At) || float32(got[5].(float64)) != single(r.Value) {
			t.Fatalf("%x is %v, not %+v", b, got, r)
		}
	})
}

// senmlRecord is a record as RFC 8428 has it, in JSON and with the labels of
// §6 in CBOR.
type senmlRecord struct {
	BaseName string   `json:"bn" cbor:"-2,keyasint"`
	BaseTime float64  `json:"bt" cbor:"-3,keyasint"`
	Name     string   `json:"n" cbor:"0,keyasint"`
	Unit     string   `json:"u" cbor:"1,keyasint"`
	Value    *float64 `json:"v" cbor:"2,keyasint"`
	String   *string  `json:"vs" cbor:"3,keyasint"`
	Data     []byte   `cbor:"8,keyasint"`
}

// senmlName is what a name and its base may be together, RFC 8428 §4.5.1.
var senmlName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9:./_]*$`)

// TestSenML reads our SenML by the letter of RFC 8428.
func TestSenML(t *testing.T) {
	for _, f := range []Format{SenML, SenMLCBOR} {
		rapid.Check(t, func(t *rapid.T) {
			r := anyReading.Draw(t, "reading")
			// Later a run would not end before the clock of Go overflows.
			r.At %= math.MaxInt64 - epoch
			b := drawSize(t, f).Append(nil, r)
			var pack []senmlRecord
			var err error
			if f == SenML {
				err = unmarshalStrictly(b, &pack)
			} else {
				err = cbor.Unmarshal(b, &pack)
			}
			if err != nil || len(pack) != 3 {
				t.Fatalf("%s: %d records, %v", b, len(pack), err)
			}
			names, baseName, baseTime := map[string]bool{}, "", 0.0
			for _, rec := range pack {
				if rec.BaseName != "" {
					baseName = rec.BaseName
				}
				baseTime += rec.BaseTime
				name := baseName + rec.Name
				if !senmlName.MatchString(name) || names[name] {
					t.Fatalf("%s: name %q", b, name)
				}
				names[name] = true
				values := 0
				for _, there := range []bool{rec.Value != nil, rec.String != nil, rec.Data != nil} {
					if there {
						values++
					}
				}
				if values != 1 {
					t.Fatalf("%s: %q has %d values; want one", b, name, values)
				}
				if baseTime < 1<<28 { // relative to now, §4.5.3
					t.Fatalf("%s: time %v is not absolute", b, baseTime)
				}
			}
			tag, ok := parseURN(baseName)
			tag.Sequence = uint32(*pack[0].Value)
			if !ok || tag != r.Tag || pack[0].Unit != "count" || pack[1].Unit != "Cel" ||
				float32(*pack[1].Value) != single(r.Value) || !closeTo(baseTime-epoch.Seconds(), r.At) {
				t.Fatalf("%s is not %+v", b, r)
			}
		})
	}
}

// unmarshalStrictly knows no other fields.
func unmarshalStrictly(b []byte, v any) error {
	var fields []map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	for _, f := range fields {
		delete(f, "bn")
		delete(f, "bt")
		for k := range f {
			switch k {
			case "n", "u", "v", "vs":
			default:
				return &json.UnsupportedValueError{Str: k}
			}
		}
	}
	return json.Unmarshal(b, v)
}

// closeTo allows for milliseconds, and for what seconds in double precision
// lose late in a long run.
func closeTo(seconds float64, d time.Duration) bool {
	return math.Abs(seconds-d.Seconds()) <= 0.002+1e-9*d.Seconds()
}
