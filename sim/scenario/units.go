package scenario

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"dormouse/mqttsn"
)

// The longest times that mean anything here, so that no sum of them overflows.
const (
	day     = 24 * time.Hour
	longest = 10 * 365 * day
)

// parseDuration reads 500ms, 10s, 1h30m, 7d, 1w2d. A bare 0 needs no unit.
func parseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration; write one like 500ms, 10s, 1h30m or 7d", text)
	rest, d := text, time.Duration(0)
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"w", 7 * day}, {"d", day}} {
		n, after, ok := strings.Cut(rest, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseUint(n, 10, 32)
		if err != nil {
			return 0, bad
		}
		if v > uint64(longest/u.unit) {
			return 0, fmt.Errorf("%q is longer than ten years", text)
		}
		d += time.Duration(v) * u.unit
		rest = after
	}
	if rest != "" || rest == text {
		v, err := time.ParseDuration(rest)
		if err != nil || v < 0 {
			return 0, bad
		}
		d += min(v, 2*longest)
	}
	if d > longest {
		return 0, fmt.Errorf("%q is longer than ten years", text)
	}
	return d, nil
}

// duration writes a duration without the units that are zero, in days if they
// are whole: 24h is 1d.
func duration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseFloat reads a number, a share such as 20%, or a number followed by unit.
func parseFloat(text, unit string) (float64, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	if unit != "" && !percent {
		for _, u := range spellings(unit) {
			if d, ok := strings.CutSuffix(digits, u); ok {
				digits = d
				break
			}
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		if unit != "" {
			return 0, fmt.Errorf("%q is not a number of %s", text, unit)
		}
		return 0, fmt.Errorf("%q is neither a number nor a share such as 20%%", text)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

// spellings are the ways in which a unit is written: µ has two code points,
// and not every keyboard has one of them.
func spellings(unit string) []string {
	if after, ok := strings.CutPrefix(unit, "µ"); ok {
		return []string{unit, "μ" + after, "u" + after}
	}
	return []string{unit}
}

// bitrate reads octets a second, written as they are or as 250kbit/s.
func parseRate(text string) (float64, error) {
	for _, u := range []struct {
		name   string
		octets float64
	}{{"kbit/s", 125}, {"Mbit/s", 125_000}, {"bit/s", 0.125}, {"kB/s", 1000}, {"B/s", 1}, {"", 1}} {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64); err == nil && v >= 0 && !math.IsInf(v, 0) {
			return v * u.octets, nil
		}
		break
	}
	return 0, fmt.Errorf("%q is not a rate; write one like 250kbit/s or 31.25kB/s", text)
}

// parseInt reads a whole number: 10000, 10_000, 10k, 1M.
func parseInt(text string) (int64, error) {
	digits, times := text, int64(1)
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, times = d, 1_000
	} else if d, ok := strings.CutSuffix(digits, "M"); ok {
		digits, times = d, 1_000_000
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(digits, "_", ""), 10, 64)
	if errors.Is(err, strconv.ErrRange) || v > math.MaxInt32*1_000 || v < math.MinInt32 {
		return 0, fmt.Errorf("%q is too large", text)
	}
	if err != nil || strings.HasPrefix(digits, "_") {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return v * times, nil
}

// number is the figure in v.
func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}

// setScalar reads text into v, a field whose unit is given. Its error says
// what was expected.
func setScalar(text string, v reflect.Value, unit string) error {
	if cs := choicesOf[v.Type()]; cs != nil {
		for _, c := range cs {
			if c.name == text {
				v.SetString(c.value)
				return nil
			}
		}
		return fmt.Errorf("there is no %q; it must be %s", text, names(cs))
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	case v.Type() == reflect.TypeFor[mqttsn.QoS]():
		n, err := strconv.Atoi(text)
		if err != nil || n < -1 || n > 2 {
			return fmt.Errorf("%q is no QoS; it must be -1, 0, 1 or 2", text)
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := parseInt(text)
		if err == nil && v.OverflowInt(n) {
			err = fmt.Errorf("%q is too large", text)
		}
		if err != nil {
			return err
		}
		v.SetInt(n)
	case v.Kind() == reflect.Uint64: // a seed
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 on", text)
		}
		v.SetUint(n)
	case v.CanUint():
		n, err := parseInt(text)
		if err == nil && (n < 0 || v.OverflowUint(uint64(n))) {
			err = fmt.Errorf("%q is not 0 to %d", text, uint64(1)<<v.Type().Bits()-1)
		}
		if err != nil {
			return err
		}
		v.SetUint(uint64(n))
	case v.CanFloat() && unit == "octets/s":
		f, err := parseRate(text)
		v.SetFloat(f)
		return err
	case v.CanFloat():
		f, err := parseFloat(text, unit)
		v.SetFloat(f)
		return err
	default:
		return errors.New("it must be " + shape(v))
	}
	return nil
}
