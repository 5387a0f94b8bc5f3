package bench

import (
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
)

// TestTable: a goal is missed or reached whichever way it points, peers are
// beside it, and a figure that was no number does not spoil the rest.
func TestTable(t *testing.T) {
	h := &harness{tell: io.Discard, table: newTable(Options{Scale: 1}), row: "speed"}
	h.add(None, "reached", 60_000, "messages/s").atLeast(30_000).peer("mosquitto", 30_000).peer("mochi", 90_000)
	h.add(Always, "missed", 20, "messages/s").atLeast(25)
	h.row = "cost"
	h.add("", "cheap", 5, "µs").atMost(10)
	h.add("", "dear", 12.5, "µs").atMost(10)
	h.add("", "free", 0, "%").atMost(2)
	h.add("", "too short to tell", math.Inf(1), "")
	h.add("", "never done", math.NaN(), "")
	var text strings.Builder
	if err := h.table.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(text.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"row what figure goal times the goal peers",
		"speed reached, durability none 60,000 messages/s at least 30,000 2 mochi 90,000 (x1.5), mosquitto 30,000 (x0.5)",
		"missed, durability always 20 messages/s at least 25 0.8 missed",
		"cost cheap 5 µs at most 10 2",
		"dear 12.5 µs at most 10 0.8 missed",
		"free 0 % at most 2 1,000,000,000",
		"too short to tell 1,000,000,000",
		"never done 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text.Reset()
	if err := h.table.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var again Table
	if err := json.Unmarshal([]byte(text.String()), &again); err != nil || len(again.Figures) != 7 {
		t.Errorf("%v in %s", err, &text)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0421: "0.0421", 1.5: "1.5", 1.234: "1.23", 99.96: "100", 999: "999", 1000: "1,000",
		1234567.8: "1,234,568", -5171: "-5,171", -0.5: "-0.5", 100_000: "100,000", -100_000: "-100,000",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
