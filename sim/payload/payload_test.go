package payload

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var formats = []Format{Fixed, JSON, CBOR, SenML, SenMLCBOR}

// anyReading draws readings, those at the bounds among them.
var anyReading = rapid.Custom(func(t *rapid.T) Reading {
	return Reading{
		Tag: Tag{
			Device:   rapid.Uint32().Draw(t, "device"),
			Stream:   rapid.Uint8().Draw(t, "stream"),
			Sequence: rapid.Uint32().Draw(t, "sequence"),
		},
		At:    time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "at")),
		Value: rapid.Float64().Draw(t, "value"),
	}
})

// TestMessages shows one message of each format.
func TestMessages(t *testing.T) {
	r := Reading{Tag{Device: 17, Stream: 1, Sequence: 42}, time.Hour + 250*time.Millisecond, 21.4}
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{Format: JSON}, `{"device":17,"stream":1,"seq":42,"at":3600.250,"value":21.4,"noise":"6eb25612"}`},
		{Config{Format: SenML}, `[{"bn":"urn:dev:org:32473-17_1_","n":"seq","u":"count","v":42,"bt":1767229200.250},` +
			`{"n":"temperature","u":"Cel","v":21.4},{"n":"noise","vs":"cd1e45bc"}]`},
		{Config{Format: Fixed}, "44 00000011 01 0000002a 8afef4"},
		{Config{Format: Fixed, Size: 20}, "44 00000011 01 0000002a 919792 33ea61367a68cb"},
		{Config{Format: CBOR}, "a6 01 11 02 01 03 18 2a 04 fb 40ac208000000000 05 fa 41ab3333 06 44 b9538c5b"},
	} {
		got := string(tt.c.Append(nil, r))
		if tt.c.Format == Fixed || tt.c.Format == CBOR {
			got = hex.EncodeToString([]byte(got))
			tt.want = strings.ReplaceAll(tt.want, " ", "")
		}
		if got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.c, got, tt.want)
		}
	}
}

// TestRoundTrip has every format tell every tag, in as many octets as asked for.
func TestRoundTrip(t *testing.T) {
	for _, f := range formats {
		least := Config{Format: f}.MinSize()
		rapid.Check(t, func(t *rapid.T) {
			c := Config{Format: f, Size: rapid.OneOf(rapid.Just(0), rapid.IntRange(least, 2000),
				rapid.IntRange(MaxSize-10, MaxSize)).Draw(t, "size")}
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			r := anyReading.Draw(t, "reading")
			before := []byte("before")
			b, ok := bytes.CutPrefix(c.Append(bytes.Clone(before), r), before)
			if !ok {
				t.Fatal("what was in the buffer has changed")
			}
			if c.Size != 0 && len(b) != c.Size || len(b) > max(least, c.Size) {
				t.Fatalf("%d octets; want %d, and at least %d will do", len(b), c.Size, least)
			}
			if got, ok := Parse(b); !ok || got != r.Tag {
				t.Fatalf("Parse(%q) = %+v, %v; want %+v", b, got, ok, r.Tag)
			}
		})
	}
}

// TestEverySize has no format skip a size, as CBOR would where the head of a
// string grows.
func TestEverySize(t *testing.T) {
	r := Reading{Tag: Tag{Device: 1000, Stream: Command, Sequence: 7}, At: time.Minute, Value: -3.5}
	for _, f := range formats {
		for _, r := range []Reading{{Tag: Tag{Sequence: 1}}, r, longest} {
			for size := (Config{Format: f}).MinSize(); size < 700; size++ {
				c := Config{f, size}
				b := c.Append(nil, r)
				if got, ok := Parse(b); len(b) != size || !ok || got != r.Tag {
					t.Fatalf("%+v: %d octets, %+v, %v; want %+v", c, len(b), got, ok, r.Tag)
				}
			}
		}
	}
}

// TestForeign finds a message out whose bits were changed, and one cut short.
func TestForeign(t *testing.T) {
	r := Reading{Tag: Tag{Device: 1000, Stream: 3, Sequence: 7}, At: time.Minute, Value: -3.5}
	for _, f := range formats {
		good := Config{Format: f, Size: 200}.Append(nil, r)
		for i := range 8 * len(good) {
			b := bytes.Clone(good)
			b[i/8] ^= 1 << (i % 8)
			if tag, ok := Parse(b); ok {
				t.Errorf("%s: with bit %d changed it passes for %+v", f, i, tag)
			}
		}
		for n := range good {
			if tag, ok := Parse(good[:n]); ok {
				t.Errorf("%s: cut to %d octets it passes for %+v", f, n, tag)
			}
		}
		if tag, ok := Parse(append(bytes.Clone(good), ' ')); ok {
			t.Errorf("%s: with a blank behind it passes for %+v", f, tag)
		}
	}
	// Whole, and of no tag that there can be.
	for _, s := range []string{
		`{"device":4294967313,"stream":1,"seq":42,"noise":"`,
		`{"device":17,"stream":257,"seq":42,"noise":"`,
		`{"device":17,"stream":1,"seq":"noise":"`,
		`{"device":17,"seq":42,"noise":"`,
	} {
		b := append(appendHex([]byte(s), check([]byte(s))), jsonEnd...)
		if tag, ok := Parse(b); ok {
			t.Errorf("%s passes for %+v", b, tag)
		}
	}
	for _, s := range []string{"", "D", "23.5", "{}", "[]", `{"device":17,"stream":1,"seq":42}`, "ON", "\xa0", "\x80"} {
		if tag, ok := Parse([]byte(s)); ok {
			t.Errorf("%q passes for %+v", s, tag)
		}
	}
}

// TestNoise has messages differ in about half of the bits of their noise,
// whatever it is in which their tags differ.
func TestNoise(t *testing.T) {
	const octets = 1000
	a := Tag{Device: 5, Stream: 1, Sequence: 9}
	for _, b := range []Tag{{6, 1, 9}, {5, 2, 9}, {5, 1, 10}, {9, 1, 5}} {
		x, y := appendNoise(nil, a, octets), appendNoise(nil, b, octets)
		differ := 0
		for i := range x {
			differ += bits.OnesCount8(x[i] ^ y[i])
		}
		if differ < 8*octets*45/100 || differ > 8*octets*55/100 {
			t.Errorf("noise of %+v and %+v differs in %d of %d bits", a, b, differ, 8*octets)
		}
	}
	if x, y := appendNoise(nil, a, 13), appendNoise(nil, a, 13); !bytes.Equal(x, y) {
		t.Errorf("noise of one tag is %x and %x", x, y)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want string // empty: none
	}{
		{Config{}, ""},
		{Config{Size: 20}, ""},
		{Config{Size: 12}, "size is 12; in the format fixed it must be 13 to 65526 octets, or 0 for as short as it gets"},
		{Config{Format: CBOR, Size: -1}, "size is -1; in the format cbor it must be 38 to 65526 octets, or 0 for as short as it gets"},
		{Config{Format: SenML, Size: 65527}, "size is 65527; in the format senml it must be 181 to 65526 octets, or 0 for as short as it gets"},
		{Config{Format: "xml"}, `format is "xml"; it must be fixed, json, cbor, senml or senml-cbor`},
	} {
		got := ""
		if err := tt.c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.c, got, tt.want)
		}
	}
}

// TestValue is what a thermometer can show, and differs by place.
func TestValue(t *testing.T) {
	places := map[float64]bool{}
	for d := range uint32(100) {
		for at := time.Duration(0); at < 48*time.Hour; at += time.Hour {
			v := Tag{Device: d, Sequence: uint32(at / time.Hour)}.Value(at)
			if v < -5 || v > 35 {
				t.Fatalf("device %d shows %v °C at %v", d, v, at)
			}
			places[v] = true
		}
	}
	if len(places) < 500 {
		t.Errorf("only %d different values in 4,800", len(places))
	}
}

// TestAppendAllocatesNothing where a message is made by the million.
func TestAppendAllocatesNothing(t *testing.T) {
	b := make([]byte, 0, 512)
	r := Reading{Tag: Tag{Device: 1000, Stream: 3, Sequence: 7}, At: time.Minute, Value: -3.5}
	for _, f := range []Format{Fixed, JSON, SenML} {
		c := Config{Format: f, Size: 300}
		if n := testing.AllocsPerRun(100, func() { b = c.Append(b[:0], r) }); n != 0 {
			t.Errorf("%s: Append allocates %v times", f, n)
		}
		if n := testing.AllocsPerRun(100, func() { Parse(b) }); n != 0 {
			t.Errorf("%s: Parse allocates %v times", f, n)
		}
	}
}

// FuzzParse states Parse's contract: no input panics, and whatever tag it
// finds can be told in every format.
func FuzzParse(f *testing.F) {
	for _, format := range formats {
		for _, size := range []int{0, 200} {
			f.Add(Config{format, size}.Append(nil, Reading{Tag: Tag{Device: 17, Sequence: 42}, Value: 1}))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tag, ok := Parse(b)
		if !ok {
			return
		}
		for _, format := range formats {
			again := Config{Format: format}.Append(nil, Reading{Tag: tag})
			if got, ok := Parse(again); !ok || got != tag {
				t.Fatalf("%q says %+v; told again as %s it is %+v, %v", b, tag, format, got, ok)
			}
		}
	})
}

// FuzzParseSealed is FuzzParse behind the check, which no fuzzer would guess:
// what is inside it may be anything.
func FuzzParseSealed(f *testing.F) {
	for _, format := range formats {
		f.Add(Config{Format: format}.Append(nil, Reading{Tag: Tag{Device: 17, Sequence: 42}, Value: 1}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, end := range []string{jsonEnd, senmlEnd} {
			body := bytes.TrimSuffix(b, []byte(end))
			body = body[:max(0, len(body)-checkDigits)]
			Parse(append(appendHex(bytes.Clone(body), check(body)), end...))
		}
		body := b[:max(0, len(b)-checkSize)]
		Parse(binary.BigEndian.AppendUint32(bytes.Clone(body), check(body)))
	})
}
