package scenario

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim"
)

// TestLoad: a file, or a name; and what is said where there is neither.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "mine" {
		t.Errorf("it is called %q; want the name of its file", s.Name())
	}
	empty := t.TempDir()
	for name, want := range map[string]string{
		dir:                                 fmt.Sprintf("%s is a folder; name a file in it: %s", dir, file),
		empty:                               empty + " is a folder, with no .yaml in it; name a file",
		"mass-wakes":                        `there is no file mass-wakes; did you mean "mass-wake", which comes with the program?`,
		filepath.Join(dir, "quietweek.yml"): `did you mean "quiet-week"`,
		"blizzard":                          "there are dtls-battery, dtls-rebinding, firmware-rollout, gateway-restart, lossy-radio, mass-wake, nat-rebinding, port-reuse, quiet-week, topic-explosion",
	} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q): %v, want %s", name, err, want)
		}
	}
}

const minimal = `
groups:
  meters: {count: 30, reports: {every: 10m}, sleep: {policy: sleep, for: 20m}}
  doors: {count: 10, reports: {every: 1m, jitter: 10s}}
workloads:
  busy: {reports: {every: 30s}}
stages:
  - {name: calm, for: 1h, arrive: {meters: 10m}}
  - {name: rush, for: 1h, workload: {doors: busy}}
faults:
  - {at: 90m, kind: set, group: doors, set: {radio: {loss: 20%}, reports: {jitter: 5s}}}
`

func parsed(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func planned(t *testing.T, s *Scenario, o Overrides) *sim.Plan {
	t.Helper()
	p, err := s.Plan(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestNodes: groups keep their proportion, none vanishes, and the sum is exact.
func TestNodes(t *testing.T) {
	s := parsed(t, `{stages: [{for: 1h}], groups: {a: {count: 6000}, b: {count: 2500}, c: {count: 1000}, d: {count: 500}, e: {count: 1}}}`)
	for _, n := range []int{5, 6, 100, 10_001, 1_000_000} {
		sum := 0
		for _, g := range planned(t, s, Overrides{Nodes: n}).Groups {
			stated := map[string]float64{"a": 6000, "b": 2500, "c": 1000, "d": 500, "e": 1}[g.Name]
			if want := 1 + stated*float64(n-5)/10_001; math.Abs(float64(g.Count)-want) >= 1 {
				t.Errorf("of %d devices %d are in %s; want some %.2f", n, g.Count, g.Name, want)
			}
			sum += g.Count
		}
		if sum != n {
			t.Errorf("%d devices are asked for and %d there", n, sum)
		}
	}
	if _, err := s.Plan(Overrides{Nodes: 1_000_001}); err == nil || !strings.Contains(err.Error(), "there are 1000001 devices in all; one process has room for 1000000") {
		t.Errorf("a million devices and one: %v", err)
	}
	if _, err := s.Plan(Overrides{Nodes: 4}); err == nil || !strings.Contains(err.Error(), "4 devices are asked for, and there are 5 groups") {
		t.Errorf("four devices in five groups: %v", err)
	}
}

// TestDuration: in a shorter run all gets faster, in a longer one only the
// script gets longer, and what cannot get shorter is refused.
func TestDuration(t *testing.T) {
	s := parsed(t, minimal)
	half := planned(t, s, Overrides{Duration: time.Hour})
	meters, doors := half.Groups[0], half.Groups[1]
	for what, tt := range map[string]struct{ got, want time.Duration }{
		"stage":       {half.Stages[1].For, 30 * time.Minute},
		"arrival":     {half.Stages[0].Arrive["meters"].Over, 5 * time.Minute},
		"fault":       {half.Events[0].At, 45 * time.Minute},
		"settling":    {half.Settle, 30 * time.Second},
		"report":      {meters.Workload.Reports.Every, 5 * time.Minute},
		"sleep":       {meters.Workload.Sleep.For, 10 * time.Minute},
		"keep alive":  {meters.Session.KeepAlive, 150 * time.Second},
		"retry":       {meters.Client.RetryInterval, 5 * time.Second},
		"workload":    {half.Stages[1].Workloads["doors"].Reports.Every, 15 * time.Second},
		"jitter":      {doors.Workload.Reports.Jitter, 5 * time.Second},
		"set":         {half.Events[0].Set.Group.Workload.Reports.Every, 15 * time.Second},
		"set, jitter": {half.Events[0].Set.Group.Workload.Reports.Jitter, 2500 * time.Millisecond},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", what, tt.got, tt.want)
		}
	}
	double := planned(t, s, Overrides{Duration: 4 * time.Hour})
	if got := double.Groups[0].Workload.Reports.Every; got != 10*time.Minute || double.Stages[0].For != 2*time.Hour {
		t.Errorf("in twice the time, stages take %v and reports come every %v; want 2h and as stated", double.Stages[0].For, got)
	}
	odd := planned(t, s, Overrides{Duration: time.Hour + 7*time.Second})
	if got := odd.Groups[0].Workload.Sleep.For; got%time.Second != 0 || got < 10*time.Minute {
		t.Errorf("sleep is %v; want whole seconds, rounded up", got)
	}
	_, err := s.Plan(Overrides{Duration: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "test.yaml:3:3: groups.meters.retry.interval is 10s, which in a run so short comes to 83.333333ms; 100ms is the least: let the run take 1m12s") {
		t.Errorf("a run of a minute: %v", err)
	}
	pace := parsed(t, "scale: stages\n"+minimal)
	if got := planned(t, pace, Overrides{Duration: time.Minute}).Groups[0].Workload.Reports.Every; got != 10*time.Minute {
		t.Errorf("with scale: stages, reports come every %v; want 10m", got)
	}
}

// TestSets: keys of the file, by dots.
func TestSets(t *testing.T) {
	s := parsed(t, minimal)
	p := planned(t, s, Overrides{Sets: []string{
		"groups.doors.topics=[a/%i, b/%i]", "groups.doors.client_id=%g:%i", "stages.rush.for=2h", "stages.0.for=30m",
		"groups.meters.sleep.policy=radio-off", "settle=5m", "groups.doors.reports.payload={format: json}",
	}})
	doors := p.Groups[1]
	if len(doors.Topics) != 2 || doors.ClientID != "%g:%i" || p.Duration() != 150*time.Minute || p.Settle != 5*time.Minute ||
		p.Groups[0].Workload.Sleep.Policy != "radio-off" || p.Groups[0].Workload.Sleep.For != 0 || doors.Workload.Reports.Payload.Size != 0 {
		t.Errorf("the plan is\n%s", dump(p))
	}
	for arg, want := range map[string]string{
		"groups.doors.reports.evry=5s":      `--with groups.doors.reports.evry=5s: there is no key "evry" in groups.doors.reports; did you mean "every"?`,
		"groups.doors.reports.every=5":      `"5" is not a duration`,
		"groups.doors.reports.every":        "there is no value; write KEY=VALUE",
		"stages.crush.for=5m":               `stages has no entry "crush"; there is calm or rush`,
		"groups..count=5":                   `"groups..count" is not a key`,
		"groups.doors.reports.jitter=31s":   "groups.doors.reports.jitter is 31s; it must be 0 to half of reports.every",
		"groups.doors.reports.qos=[1":       "not YAML",
		"groups.doors.firmware=riot":        `groups.doors.firmware: there is no "riot"`,
		"groups.doors.radio.latency=banana": `"banana" is not a duration`,
		"groups.dors.reports.every=5s":      `there is no group "dors"; did you mean "doors"?`,
		"radios.mobile.loss=30%":            `there is no radio "mobile", and no other`,
	} {
		if _, err := s.Plan(Overrides{Sets: []string{arg}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
}

// TestSet changes groups while a run goes on.
func TestSet(t *testing.T) {
	s := parsed(t, minimal)
	planned(t, s, Overrides{Nodes: 400})
	set := func(at time.Duration, group string, settings ...string) *sim.Group {
		t.Helper()
		c, err := s.Set(at, group, settings...)
		if err != nil {
			t.Fatal(err)
		}
		return c.Group
	}
	g := set(10*time.Minute, "doors", "reports.every=2m", "radio.loss=5%")
	if r := g.Workload.Reports; g.Count != 100 || r.Every != 2*time.Minute || r.Jitter != 10*time.Second || g.Radio.Down.Loss.Mean != 0.05 {
		t.Errorf("after ten minutes: %+v, %+v", r, g.Radio.Down.Loss)
	}
	g = set(20*time.Minute, "doors", "reports.jitter=1m")
	if r := g.Workload.Reports; r.Every != 2*time.Minute || r.Jitter != time.Minute {
		t.Errorf("what was set before is not built on: %+v", r)
	}
	g = set(70*time.Minute, "doors", "retry.max=9")
	if r := g.Workload.Reports; r.Every != 30*time.Second || g.Radio.Up.Loss.Mean != 0.05 || g.Client.MaxRetries != 9 {
		t.Errorf("in the next stage: %+v, %+v, %d retries; want its workload, and the radio that was set", r, g.Radio.Up.Loss, g.Client.MaxRetries)
	}
	g = set(100*time.Minute, "doors", "sleep.policy=radio-off")
	if r := g.Workload.Reports; r.Every != 30*time.Second || r.Jitter != 5*time.Second || g.Workload.Sleep.Policy != "radio-off" {
		t.Errorf("after the fault that sets: %+v", r)
	}
	for want, settings := range map[string][]string{
		"set doors reports.jitter=20s: doors.reports.jitter is 20s": {"reports.jitter=20s"},
		`there is no key "reprots"`:                                 {"reprots.every=5s"},
		"count cannot change while a run goes on; what can":         {"count=5"},
		"topics cannot change while a run goes on":                  {"topics=[a, b]"},
		"nothing is set":    {},
		"there is no value": {"reports.every"},
	} {
		if _, err := s.Set(65*time.Minute, "doors", settings...); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "set doors reports.jitter=20s: doors.")) {
			t.Errorf("%q: %v, want %s", settings, err, want)
		}
	}
	if _, err := s.Set(0, "door", "reports.every=1m"); err == nil || !strings.Contains(err.Error(), `there is no group "door"; did you mean "doors"?`) {
		t.Errorf("a group that is not there: %v", err)
	}
	if g := set(65*time.Minute, "doors", "ills.drift=20"); g.Workload.Reports.Jitter == 20*time.Second {
		t.Error("what was refused is set all the same")
	}
}

// FuzzParse: whatever a file says, the error is Problems, each with a message,
// and a plan is made or not without a panic.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	shipped, err := filepath.Glob("shipped/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, shipped...) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		yaml, _, _ := strings.Cut(string(text), "-- says --\n")
		f.Add([]byte(yaml), "groups.a.reports.every=5s")
	}
	f.Fuzz(func(t *testing.T, text []byte, set string) {
		s, err := Parse("fuzz.yaml", text)
		if err != nil {
			ps, ok := err.(strict.Problems)
			if !ok || len(ps) == 0 {
				t.Fatalf("the error is %T %v, want Problems", err, err)
			}
			for _, p := range ps {
				if p.Message == "" || p.Error() == "" {
					t.Fatalf("a problem without a message: %+v", p)
				}
			}
			return
		}
		for _, o := range []Overrides{{Duration: 10 * time.Second}, {Nodes: 1000}, {Sets: []string{set}}} {
			p, err := s.Plan(o)
			if err != nil {
				continue
			}
			for _, g := range p.Groups {
				if errs := g.Validate(); errs != nil {
					t.Fatalf("a plan was made of a group that is wrong: %v", errs)
				}
			}
			if _, err := s.Set(0, p.Groups[0].Name, set); err == nil {
				continue
			}
		}
	})
}
