package energy

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const us = time.Microsecond

func link(t testing.TB, profile string) Link {
	t.Helper()
	p, ok := ProfileNamed(profile)
	if !ok {
		t.Fatalf("no profile %s", profile)
	}
	return p.Link
}

// TestLoRaAirtime holds the formula against times that are published: 13
// octets at SF9 by the model, 23 and 51 octets by the usual calculators.
func TestLoRaAirtime(t *testing.T) {
	for _, tt := range []struct {
		sf, octets int
		want       time.Duration
	}{
		{9, 13, 164_864 * us},
		{7, 23, 61_696 * us},
		{10, 23, 370_688 * us},
		{12, 51, 2_465_792 * us}, // with low data rate optimisation
		{7, 0, 25_856 * us},      // the header alone
	} {
		l := LoRa{SF: tt.sf, Bandwidth: 125_000, Coding: 1, Preamble: 8}
		if got := l.Airtime(tt.octets); got != tt.want {
			t.Errorf("%d octets at SF%d take %v; want %v", tt.octets, tt.sf, got, tt.want)
		}
	}
}

func TestUp(t *testing.T) {
	for _, tt := range []struct {
		profile string
		octets  int
		lost    bool
		want    Use
	}{
		// 66 octets on air; CSMA, turnaround and 11 octets of acknowledgement.
		{"802154-nrf52840", 27, false, Use{Tx: 66 * 32 * us, Rx: (1120 + 192 + 352) * us}},
		// The longest that is not fragmented fills the frame: 127 octets and PHY.
		{"802154-nrf52840", 94, false, Use{Tx: 133 * 32 * us, Rx: 1664 * us}},
		// One more: 96 of 105 octets in the first fragment, 9 in the second.
		{"802154-nrf52840", 95, false, Use{Tx: (105 + 2*34) * 32 * us, Rx: 2 * 1664 * us}},
		// Lost: four times, with the wait for an acknowledgement.
		{"802154-nrf52840", 27, true, Use{Tx: 4 * 66 * 32 * us, Rx: 4 * (1120 + 864) * us}},
		// Lost: the second fragment is never sent.
		{"802154-nrf52840", 95, true, Use{Tx: 4 * (96 + 34) * 32 * us, Rx: 4 * (1120 + 864) * us}},
		{"ble-nrf52840", 27, false, Use{Tx: (10 + 43) * 8 * us, Rx: 80*us + 300*us, Fixed: 8}},
		{"ble-nrf52840", 236, false, Use{Tx: (2*10 + 252) * 8 * us, Rx: 160*us + 600*us, Fixed: 8}},
		{"lora-sx1262-sf7", 27, false, Use{Tx: 66_816 * us}},
		{"nbiot-generic", 22, false, Use{Tx: 40_000*us + 50*8*50*us}},
	} {
		got, err := link(t, tt.profile).Up(tt.octets, tt.lost)
		if err != nil || got != tt.want {
			t.Errorf("%s: %d octets up, lost %v: %+v, %v; want %+v", tt.profile, tt.octets, tt.lost, got, err, tt.want)
		}
	}
}

func TestDown(t *testing.T) {
	for _, tt := range []struct {
		profile string
		octets  int
		want    Use
	}{
		{"802154-cc2340", 7, Use{Rx: 46*32*us + 192*us, Tx: 352 * us}},
		{"802154-cc2340", 95, Use{Rx: (105+2*34)*32*us + 2*192*us, Tx: 2 * 352 * us}},
		{"ble-nrf54l15", 7, Use{Rx: (10+23)*8*us + 300*us, Tx: 80 * us, Fixed: 8}},
		{"lora-sx1262-sf10", 7, Use{Rx: 247_808 * us}},
		{"nbiot-generic", 22, Use{Rx: 50 * 8 * 50 * us}},
	} {
		got, err := link(t, tt.profile).Down(tt.octets)
		if err != nil || got != tt.want {
			t.Errorf("%s: %d octets down: %+v, %v; want %+v", tt.profile, tt.octets, got, err, tt.want)
		}
	}
}

// TestLoRaHeader: what LoRaWAN adds to a payload is on air, and is not part of
// what the payload may be.
func TestLoRaHeader(t *testing.T) {
	raw, wan := link(t, "lora-sx1262-sf10").(*LoRa), link(t, "lora-sx1262-sf10").(*LoRa)
	wan.Header = 13
	got, err := wan.Up(51, false)
	if want := raw.Airtime(64); err != nil || got.Tx != want {
		t.Errorf("51 octets and 13 of header: %v, %v; want %v", got.Tx, err, want)
	}
}

// TestRepetitions: in bad coverage everything on air takes so much longer.
func TestRepetitions(t *testing.T) {
	once, often := link(t, "nbiot-generic"), link(t, "nbiot-generic")
	often.(*NBIoT).Repetitions = 32
	a, _ := once.Up(27, false)
	b, _ := often.Up(27, false)
	if b.Tx != 32*a.Tx {
		t.Errorf("32 repetitions take %v, one %v", b.Tx, a.Tx)
	}
}

func TestListen(t *testing.T) {
	for _, tt := range []struct {
		profile    string
		wait, want time.Duration
	}{
		{"802154-nrf52840", time.Second, time.Second},
		{"ble-nrf52840", time.Second, 0},
		{"nbiot-generic", time.Second, time.Second},
		{"lora-sx1262-sf7", time.Second, 50 * time.Millisecond},
		{"lora-sx1262-sf7", 20 * time.Millisecond, 20 * time.Millisecond},
		{"lora-sx1262-sf7", 10 * time.Second, 100 * time.Millisecond}, // both windows in vain
		{"lora-sx1262-sf10", time.Second, 100_352 * us},               // no window is shorter than a preamble
	} {
		if got := link(t, tt.profile).Listen(tt.wait); got != tt.want {
			t.Errorf("%s listens %v of %v; want %v", tt.profile, got, tt.wait, tt.want)
		}
	}
}

// TestLimits: the longest datagram goes, one octet more is refused with the
// limit, both ways.
func TestLimits(t *testing.T) {
	limits := map[string]int{
		"802154-nrf52840": 1232, "802154-cc2340": 1232, "ble-nrf52840": 1232, "ble-nrf54l15": 1232, "nbiot-generic": 1472,
		"lora-sx1261-sf7": 222, "lora-sx1261-sf8": 222, "lora-sx1261-sf9": 115,
		"lora-sx1261-sf10": 51, "lora-sx1261-sf11": 51, "lora-sx1261-sf12": 51,
	}
	for profile, limit := range limits {
		l := link(t, profile)
		up := func(n int) error { _, err := l.Up(n, false); return err }
		down := func(n int) error { _, err := l.Down(n); return err }
		for way, carry := range map[string]func(int) error{"up": up, "down": down} {
			if err := carry(limit); err != nil {
				t.Errorf("%s %s: %v", profile, way, err)
			}
			e := (*Infeasible)(nil)
			if err := carry(limit + 1); !errors.As(err, &e) || !errors.Is(err, ErrPayload) || e.Limit != limit || e.Octets != limit+1 {
				t.Errorf("%s %s: %d octets: %v; want that the limit is %d", profile, way, limit+1, err, limit)
			}
		}
	}
}

// TestMoreCostsMore: on every radio and both ways, no datagram costs less than
// a shorter one, none is free, and losing one that is not fragmented costs no
// less than getting it through.
func TestMoreCostsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(Profiles()).Draw(t, "profile")
		long := rapid.IntRange(1, 1300).Draw(t, "long")
		short := rapid.IntRange(0, long).Draw(t, "short")
		cost := func(way string, n int) (float64, bool) {
			var u Use
			var err error
			switch way {
			case "up":
				u, err = p.Link.Up(n, false)
			case "lost":
				u, err = p.Link.Up(n, true)
			case "down":
				u, err = p.Link.Down(n)
			}
			return u.Charge(&p), err == nil
		}
		for _, way := range []string{"up", "down"} {
			less, ok := cost(way, short)
			more, carried := cost(way, long)
			if carried && (!ok || less > more || less <= 0) {
				t.Errorf("%s, %s: %d octets cost %v µC (%v), %d cost %v", p.Name, way, short, less, ok, long, more)
			}
		}
		if through, ok := cost("up", short); ok && short <= 94 {
			if lost, _ := cost("lost", short); lost < through {
				t.Errorf("%s: %d octets cost %v µC lost, %v received", p.Name, short, lost, through)
			}
		}
	})
}
