package energy

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPresets: every preset is named once, is found, is valid with every
// other, says where its figures come from, and can be changed without
// changing the next one's.
func TestPresets(t *testing.T) {
	names := map[string]bool{}
	check := func(name string, sources []Source) {
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		if len(sources) == 0 {
			t.Errorf("%s names no source", name)
		}
		for _, s := range sources {
			if s.Parameter == "" || s.From == "" || !s.Assumed && s.From == model {
				t.Errorf("%s: %+v says nothing", name, s)
			}
		}
	}
	for _, p := range Profiles() {
		check(p.Name, p.Sources)
		if q, ok := ProfileNamed(p.Name); !ok || q.Name != p.Name || q.Link == p.Link {
			t.Errorf("%s is not found, or shares its link", p.Name)
		}
	}
	for _, b := range Boards() {
		check(b.Name, b.Sources)
	}
	for _, b := range Batteries() {
		check(b.Name, b.Sources)
	}
	for _, r := range Profiles() {
		for _, b := range Boards() {
			for _, c := range Batteries() {
				h := Hardware{Radio: r, Board: b, Battery: c, Celsius: 20}
				if err := h.Validate(); err != nil {
					t.Errorf("%s, %s, %s: %v", r.Name, b.Name, c.Name, err)
				}
			}
		}
	}
	if _, ok := ProfileNamed("802154-nrf99"); ok {
		t.Error("there is a radio 802154-nrf99")
	}
}

// TestAssumptions: what has no public source is told, and nothing else.
func TestAssumptions(t *testing.T) {
	g := Group{Hardware: hardware(t, "lora-sx1262-sf7", "mcu-lora")}
	got := g.Report(&Total{}, nil).Assumptions
	want := []string{
		"lora-sx1262-sf7: no header below UDP: LoRaWAN adds 13 octets and its network server (source: none: chosen to be typical)",
		"lora-sx1262-sf7: window of 50 ms, a preamble at least; both windows at the same spreading factor (source: none: chosen to be typical)",
		"mcu-lora: leakage 2 µA (source: none: chosen to be typical)",
		"mcu-lora: processor asleep 1 µA, awake 1.6 mA; wake 3 ms (source: none: chosen to be typical)",
		"2xaa-lithium: pulse 2 A (source: Energizer L91, not looked up)",
		"2xaa-lithium: 85 % usable, 70 % of it at -20 °C (source: none: chosen to be typical)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("assumed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestValidate spoils each field, and expects the report to name it.
func TestValidate(t *testing.T) {
	for key, spoil := range map[string]func(*Hardware){
		"radio.tx":                  func(h *Hardware) { h.Radio.Tx = -1 },
		"radio.rx":                  func(h *Hardware) { h.Radio.Rx = 2e6 },
		"radio.wait":                func(h *Hardware) { h.Radio.Wait = -1 },
		"radio.sleep":               func(h *Hardware) { h.Radio.Sleep = -1 },
		"radio.upkeep":              func(h *Hardware) { h.Radio.Upkeep = -1 },
		"radio.access.current":      func(h *Hardware) { h.Radio.Access.Current = -1 },
		"radio.access.time":         func(h *Hardware) { h.Radio.Access.Time = -1 },
		"radio.tail.current":        func(h *Hardware) { h.Radio.Tail.Current = -1 },
		"radio.tail.time":           func(h *Hardware) { h.Radio.Tail.Time = 2 * time.Hour },
		"radio.duty_cycle":          func(h *Hardware) { h.Radio.DutyCycle = 1.5 },
		"radio.link is not set":     func(h *Hardware) { h.Radio.Link = nil },
		"radio.link: 802.15.4":      func(h *Hardware) { h.Radio.Link = &IEEE802154{} },
		"radio.link: ble":           func(h *Hardware) { h.Radio.Link = &BLE{} },
		"an event":                  func(h *Hardware) { l := ble(); l.Event = math.NaN(); h.Radio.Link = l },
		"radio.link: nb-iot":        func(h *Hardware) { h.Radio.Link = &NBIoT{} },
		"bit/s":                     func(h *Hardware) { l := nbiot().Link.(*NBIoT); l.Rate = math.NaN(); h.Radio.Link = l },
		"7 retries":                 func(h *Hardware) { l := thread(); l.Retries = 8; h.Radio.Link = l },
		"radio.link: lora needs SF": func(h *Hardware) { l := sx1262(9).Link.(*LoRa); l.SF = 13; h.Radio.Link = l },
		"255 octets":                func(h *Hardware) { l := sx1262(9).Link.(*LoRa); l.MaxPayload = 256; h.Radio.Link = l },
		"board.sleep":               func(h *Hardware) { h.Board.Sleep = -1 },
		"board.wake is":             func(h *Hardware) { h.Board.Wake = -1 },
		"board.waking":              func(h *Hardware) { h.Board.Waking = -1 },
		"board.cpu":                 func(h *Hardware) { h.Board.CPU = -1 },
		"battery.capacity":          func(h *Hardware) { h.Battery.Capacity = 0 },
		"battery.usable":            func(h *Hardware) { h.Battery.Usable = 1.1 },
		"battery.self_discharge":    func(h *Hardware) { h.Battery.SelfDischarge = 1 },
		"battery.cold":              func(h *Hardware) { h.Battery.Cold = 0 },
		"battery.pulse":             func(h *Hardware) { h.Battery.Pulse = -1 },
		"celsius":                   func(h *Hardware) { h.Celsius = -41 },
	} {
		h := hardware(t, "802154-nrf52840", "soc-802154")
		spoil(&h)
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v; want one that names it, alone", key, err)
		}
	}
	h := Hardware{Celsius: 100}
	if err := h.Validate(); err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("an empty hardware: %v; want all five faults", err)
	}
}
