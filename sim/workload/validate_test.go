package workload

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"dormouse/sim/payload"
)

// errorsOf takes apart what Validate has joined.
func errorsOf(err error) (texts []string) {
	if err == nil {
		return nil
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		texts = append(texts, e.Error())
	}
	return texts
}

// TestValidate pins what a user reads: the key, what it is, and what it must be.
func TestValidate(t *testing.T) {
	const hourly = time.Hour
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"too often", Config{Reports: Reports{Every: time.Microsecond}},
			"reports.every is 1µs; it must be 1ms to 87600h0m0s, or 0 for none"},
		{"backwards", Config{Reports: Reports{Every: -time.Second}},
			"reports.every is -1s; it must be 1ms to 87600h0m0s, or 0 for none"},
		{"jitter", Config{Reports: Reports{Every: hourly, Jitter: 31 * time.Minute}},
			"reports.jitter is 31m0s; it must be 0 to half of reports.every, which is 30m0s"},
		{"jitter at the peak", Config{Reports: Reports{Every: hourly, Jitter: 10 * time.Minute, Curve: office}},
			"reports.jitter is 10m0s; it must be 0 to half of the time between two reports in the busiest hour of reports.curve, which is 7m30s"},
		{"short day", Config{Reports: Reports{Every: hourly, Curve: Curve{1, 2, 3}}},
			"reports.curve has 3 figures; it must have 24, one for each hour from midnight on"},
		{"dead day", Config{Reports: Reports{Every: hourly, Curve: make(Curve, 24)}},
			"reports.curve is 0 all day; for no reports set reports.every to 0"},
		{"backwards day", Config{Reports: Reports{Every: hourly, Curve: append(append(Curve{}, office[:23]...), -1)}},
			"reports.curve[23] is -1; it must be 0 to 1e6"},
		{"no number", Config{Reports: Reports{Every: hourly, Curve: append(append(Curve{}, office[:23]...), math.NaN())}},
			"reports.curve[23] is NaN; it must be 0 to 1e6"},
		{"share of bursts", Config{Reports: Reports{Every: hourly, Bursts: Bursts{Share: 2, Count: 1, Spacing: time.Second}}},
			"reports.bursts.share is 2; it must be 0 to 1"},
		{"no burst", Config{Reports: Reports{Every: hourly, Bursts: Bursts{Share: 0.1, Spacing: time.Second}}},
			"reports.bursts.count is 0; it must be 1 to 1000000"},
		{"no spacing", Config{Reports: Reports{Every: hourly, Bursts: Bursts{Share: 0.1, Count: 3}}},
			"reports.bursts.spacing is 0s; it must be 1ms or more, and less than reports.every, which is 1h0m0s"},
		{"long burst", Config{Reports: Reports{Every: hourly, Bursts: Bursts{Share: 0.1, Count: 60, Spacing: time.Minute}}},
			"reports.bursts.count is 60, and that many reports 1m0s apart take longer than reports.every, which is 1h0m0s"},
		{"qos", Config{Reports: Reports{Every: hourly, QoS: 3}},
			"reports.qos is 3; it must be -1, 0, 1 or 2"},
		{"format", Config{Reports: Reports{Every: hourly, Payload: payload.Config{Format: "xml"}}},
			`reports.payload.format is "xml"; it must be fixed, json, cbor, senml or senml-cbor`},
		{"size", Config{Reports: Reports{Every: hourly, Payload: payload.Config{Size: 5}}},
			"reports.payload.size is 5; in the format fixed it must be 13 to 65526 octets, or 0 for as short as it gets"},

		{"commands too often", Config{Commands: Commands{Every: 1, Topic: "cmd"}},
			"commands.every is 1ns; it must be 1ms to 87600h0m0s, or 0 for none"},
		{"command in the past", Config{Commands: Commands{At: []time.Duration{0, -time.Second}, Topic: "cmd"}},
			"commands.at[1] is -1s; it must be 0s to 87600h0m0s"},
		{"command twice", Config{Commands: Commands{At: []time.Duration{0, time.Second, 0}, Topic: "cmd"}},
			"commands.at[2] is 0s, as commands.at[0] is; leave it out"},
		{"command jitter", Config{Commands: Commands{Every: hourly, Jitter: hourly, Topic: "cmd"}},
			"commands.jitter is 1h0m0s; it must be 0 to half of commands.every, which is 30m0s"},
		{"jitter of times", Config{Commands: Commands{At: []time.Duration{0}, Jitter: time.Second, Topic: "cmd"}},
			"commands.jitter is 1s, which is for commands.every; commands.at is exact"},
		{"nowhere", Config{Commands: Commands{Every: hourly}},
			"commands.topic is not set; commands need one"},
		{"command qos", Config{Commands: Commands{Every: hourly, Topic: "cmd", QoS: -1}},
			"commands.qos is -1; it must be 0, 1 or 2"},
		{"deadline", Config{Commands: Commands{Every: hourly, Topic: "cmd", Deadline: -1}},
			"commands.deadline is -1ns; it must be 0s to 87600h0m0s"},
		{"command size", Config{Commands: Commands{Every: hourly, Topic: "cmd", Payload: payload.Config{Format: payload.JSON, Size: 20}}},
			"commands.payload.size is 20; in the format json it must be 114 to 65526 octets, or 0 for as short as it gets"},

		{"policy", Config{Sleep: Sleep{Policy: "doze"}},
			`sleep.policy is "doze"; it must be sleep or radio-off, or empty to listen`},
		{"no sleep", Config{Sleep: Sleep{Policy: Sleeping}},
			"sleep.for is 0s; it must be whole seconds, 1s to 18h12m15s"},
		{"long sleep", Config{Sleep: Sleep{Policy: Sleeping, For: 65536 * time.Second}},
			"sleep.for is 18h12m16s; it must be whole seconds, 1s to 18h12m15s"},
		{"part of a second", Config{Sleep: Sleep{Policy: Sleeping, For: 1500 * time.Millisecond}},
			"sleep.for is 1.5s; it must be whole seconds, 1s to 18h12m15s"},
		{"late", Config{Sleep: Sleep{Policy: Sleeping, For: hourly, Poll: 2 * hourly}},
			"sleep.poll is 2h0m0s; it must be 1ms to sleep.for, which is 1h0m0s: who wakes later is lost to the gateway"},
		{"jitter of wakes", Config{Sleep: Sleep{Policy: Sleeping, For: hourly, Jitter: -1}},
			"sleep.jitter is -1ns; it must be 0 or more, and less than the time between two wakes, which is 45m0s"},
		{"no time asleep", Config{Sleep: Sleep{Policy: Sleeping, For: hourly, Poll: time.Minute, Jitter: time.Minute, Aligned: true}},
			"sleep.jitter is 1m0s; it must be 0 or more, and less than the time between two wakes, which is 1m0s"},
		{"late at times", Config{Sleep: Sleep{Policy: Sleeping, For: hourly, Poll: hourly, Aligned: true, Jitter: time.Second}},
			"sleep.jitter is 1s, and who is early by that once and on time then sleeps for 1h0m1s; sleep.for is 1h0m0s"},
		{"linger", Config{Sleep: Sleep{Policy: RadioOff, Linger: -1}},
			"sleep.linger is -1ns; it must be 0s to 87600h0m0s"},
		{"linger awake", Config{Sleep: Sleep{Linger: time.Second}},
			"sleep.linger is 1s, but sleep.policy is to listen: the radio stays on"},
		{"sleep without", Config{Sleep: Sleep{For: hourly}},
			"sleep.for is 1h0m0s, but sleep.policy is not sleep"},
		{"poll without", Config{Sleep: Sleep{Policy: RadioOff, Poll: hourly}},
			"sleep.poll is 1h0m0s, but sleep.policy is not sleep"},
		{"jitter without", Config{Sleep: Sleep{Policy: RadioOff, Jitter: hourly}},
			"sleep.jitter is 1h0m0s, but sleep.policy is not sleep"},
		{"aligned without", Config{Sleep: Sleep{Aligned: true}},
			"sleep.aligned is set, but sleep.policy is not sleep"},
	} {
		if got := errorsOf(tt.c.Validate()); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestValidateIlls(t *testing.T) {
	for _, tt := range []struct {
		i    Ills
		want string
	}{
		{Ills{Drift: -1}, "ills.drift is -1; it must be 0 to 100000 ppm"},
		{Ills{Drift: math.NaN()}, "ills.drift is NaN; it must be 0 to 100000 ppm"},
		{Ills{RebootEvery: 1}, "ills.reboot_every is 1ns; it must be 1s to 87600h0m0s, or 0 for never"},
		{Ills{RebootFor: -1}, "ills.reboot_for is -1ns; it must be 0s to 87600h0m0s"},
		{Ills{Crying: 1.5, CryingRate: 2}, "ills.crying is 1.5; it must be 0 to 1"},
		{Ills{Crying: 0.5}, "ills.crying_rate is 0; it must be 1 to 1e6 times as often"},
		{Ills{Stuck: math.NaN()}, "ills.stuck is NaN; it must be 0 to 1"},
		{Ills{StuckAfter: -1}, "ills.stuck_after is -1ns; it must be 0s to 87600h0m0s"},
	} {
		if got := errorsOf(tt.i.Validate()); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%+v:\n got %q\nwant %q", tt.i, got, tt.want)
		}
	}
}

// TestBear refuses reports that are closer than a fleet keeps time.
func TestBear(t *testing.T) {
	c, i := Config{Reports: Reports{Every: time.Second}}, Ills{Crying: 0.1, CryingRate: 2000}
	const want = "ills.crying_rate is 2000; with reports.every of 1s it must be 1000 at most, for reports 1ms apart"
	if err := i.Bear(&c); err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
	i.CryingRate = 1000
	if err := i.Bear(&c); err != nil {
		t.Error(err)
	}
	if err := i.Bear(&Config{}); err != nil {
		t.Errorf("without reports: %v", err)
	}
}

// TestValidateAll reports everything at once, each under its key.
func TestValidateAll(t *testing.T) {
	c := Config{
		Reports:  Reports{Every: time.Hour, Jitter: time.Hour, QoS: 9, Payload: payload.Config{Size: -1}},
		Commands: Commands{Every: time.Hour, Jitter: time.Hour, QoS: 9, Deadline: -1},
		Sleep:    Sleep{Policy: Sleeping, Poll: time.Hour, Linger: -1},
	}
	i := Ills{Drift: -1, Crying: -1, Stuck: 2}
	keys := ""
	for _, text := range errorsOf(errors.Join(c.Validate(), i.Validate())) {
		for line := range strings.Lines(text) {
			key, _, _ := strings.Cut(line, " is ")
			keys += key + " "
		}
	}
	const want = "reports.jitter reports.qos reports.payload.size " +
		"commands.jitter commands.topic commands.qos commands.deadline " +
		"sleep.linger sleep.for ills.drift ills.crying ills.stuck "
	if keys != want {
		t.Errorf("faults of\n %s\nwant\n %s", keys, want)
	}
}

// TestValidateLeftovers lets reports and commands be turned off by their rate
// alone.
func TestValidateLeftovers(t *testing.T) {
	c := Config{
		Reports:  Reports{Jitter: time.Hour, Curve: office, Bursts: Bursts{Share: 0.5, Count: 100, Spacing: time.Hour}},
		Commands: Commands{Jitter: time.Hour, Deadline: time.Second},
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
