package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"dormouse/sim/energy"
)

// quantity writes a figure for people.
func quantity(v float64, u Unit) string {
	switch u {
	case Seconds:
		return seconds(v)
	case Share:
		return percent(v)
	case Octets:
		return octets(v)
	case Years:
		return years(v)
	case Charge:
		return significant(v, 3) + " mAh/day"
	}
	return thousands(v)
}

// thousands writes a count, such as 1,234,567.
func thousands(v float64) string {
	if v != math.Trunc(v) || math.Abs(v) >= 1<<53 {
		return significant(v, 3)
	}
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}

// devices writes how many there are.
func devices(n float64) string {
	if n == 1 {
		return "1 device"
	}
	return thousands(n) + " devices"
}

// seconds writes a time with three figures, or to the second.
func seconds(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0 s"
	case a < 0.9995e-3:
		return significant(v*1e6, 3) + " µs"
	case a < 0.9995:
		return significant(v*1e3, 3) + " ms"
	case a < 59.95:
		return significant(v, 3) + " s"
	}
	return span(time.Duration(v * float64(time.Second)))
}

// span writes a long time in its two largest units, such as 3 d 4 h.
func span(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	const day = 24 * time.Hour
	units := [...]struct {
		of   time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		last := i == len(units)-1
		least := u.of
		if last {
			return sign + significant(d.Seconds(), 3) + " s"
		}
		next := units[i+1]
		if d.Round(next.of) < least {
			continue
		}
		d = d.Round(next.of)
		s := fmt.Sprintf("%d %s", d/u.of, u.name)
		if rest := d % u.of / next.of; rest > 0 {
			s += fmt.Sprintf(" %d %s", rest, next.name)
		}
		return sign + s
	}
	return ""
}

func percent(v float64) string {
	switch p := 100 * v; {
	case p != 0 && math.Abs(p) < 0.0001:
		return significant(p, 1) + " %"
	case p > 99 && p < 100: // what is not all must not look like all
		return significantBelow(p) + " %"
	default:
		return significant(p, 3) + " %"
	}
}

// significantBelow writes a percentage next to 100 with as many figures as it
// takes to tell it from that.
func significantBelow(p float64) string {
	for digits := 1; digits < 12; digits++ {
		if s := strconv.FormatFloat(p, 'f', digits, 64); !strings.HasPrefix(s, "100") {
			return s
		}
	}
	return significant(p, 15)
}

func octets(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1<<30:
		return significant(v/(1<<30), 3) + " GiB"
	case a >= 1<<20:
		return significant(v/(1<<20), 3) + " MiB"
	case a >= 10<<10:
		return significant(v/(1<<10), 3) + " KiB"
	}
	if v == math.Trunc(v) {
		return thousands(v) + " B"
	}
	return significant(v, 3) + " B"
}

func years(v float64) string {
	const days = 365
	switch {
	case math.Abs(v) < 1:
		return significant(v*days, 3) + " days"
	case v >= energy.ShelfLife: // what is projected goes no further
		return fmt.Sprintf("≥ %d years", energy.ShelfLife)
	}
	if s := significant(v, 3); s != "1" {
		return s + " years"
	}
	return "1 year"
}

// significant writes v with so many figures, and no fewer before the point.
func significant(v float64, figures int) string {
	if v == 0 {
		return "0"
	}
	digits := figures - 1 - int(math.Floor(math.Log10(math.Abs(v))))
	s := strconv.FormatFloat(v, 'f', max(0, digits), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
