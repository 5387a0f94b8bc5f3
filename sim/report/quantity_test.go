package report

import "testing"

func TestDevices(t *testing.T) {
	for n, want := range map[float64]string{0: "0 devices", 1: "1 device", 2: "2 devices", 10_000: "10,000 devices"} {
		if got := devices(n); got != want {
			t.Errorf("%v are %q; want %q", n, got, want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		u    Unit
		want string
	}{
		{0, Count, "0"}, {7, Count, "7"}, {999, Count, "999"}, {1000, Count, "1,000"}, {1234567, Count, "1,234,567"}, {-1234, Count, "-1,234"}, {2.5, Count, "2.5"},
		{0, Seconds, "0 s"}, {12e-6, Seconds, "12 µs"}, {0.0009999, Seconds, "1 ms"}, {0.0234, Seconds, "23.4 ms"}, {0.9999, Seconds, "1 s"}, {1, Seconds, "1 s"},
		{5.256, Seconds, "5.26 s"}, {59.96, Seconds, "1 min"}, {61, Seconds, "1 min 1 s"}, {3599.7, Seconds, "1 h"}, {3660, Seconds, "1 h 1 min"},
		{86400 * 7, Seconds, "7 d"}, {86400*3 + 4*3600, Seconds, "3 d 4 h"},
		{0, Share, "0 %"}, {1, Share, "100 %"}, {0.123456, Share, "12.3 %"}, {0.9999, Share, "99.99 %"}, {0.99999999, Share, "99.999999 %"}, {1e-9, Share, "0.0000001 %"},
		{0, Octets, "0 B"}, {512, Octets, "512 B"}, {41.26, Octets, "41.3 B"}, {9000, Octets, "9,000 B"}, {20480, Octets, "20 KiB"}, {5 << 20, Octets, "5 MiB"}, {3 << 30, Octets, "3 GiB"},
		{0.02, Years, "7.3 days"}, {0.5, Years, "182 days"}, {0.9999, Years, "365 days"}, {1.001, Years, "1 year"}, {9.31, Years, "9.31 years"}, {15, Years, "≥ 15 years"},
		{0.0912, Charge, "0.0912 mAh/day"}, {4, Charge, "4 mAh/day"}, {123.4, Charge, "123 mAh/day"}, {1000, Charge, "1000 mAh/day"},
	} {
		if got := quantity(tt.v, tt.u); got != tt.want {
			t.Errorf("%v %s is written %q; want %q", tt.v, tt.u, got, tt.want)
		}
	}
}
