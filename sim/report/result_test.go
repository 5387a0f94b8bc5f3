package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/radio"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; if that is right, run go test ./sim/report -update\n%s", file, got)
	}
}

// TestMetricNames pins the names, units and series of metrics: users write them
// in scenarios and dashboards.
func TestMetricNames(t *testing.T) {
	var b strings.Builder
	series := map[string]string{}
	for _, m := range Metrics() {
		s := m.series()
		if m.ofLatency() {
			first, _, _ := strings.Cut(m.Name, ".")
			s = prefix + first + "_seconds"
		} else if before, ok := series[s]; ok {
			t.Errorf("%s and %s are both called %s", before, m.Name, s)
		}
		series[s] = m.Name
		fmt.Fprintf(&b, "%-30s %-8s %s\n", m.Name, m.Unit, s)
		if m.Help == "" || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s says of itself %q", m.Name, m.Help)
		}
		if got, ok := MetricNamed(m.Name); !ok || got.Name != m.Name {
			t.Errorf("%s is not found by its name", m.Name)
		}
	}
	golden(t, "metrics.txt", b.String())
}

// TestFigures works out by hand what a few figures are.
func TestFigures(t *testing.T) {
	o := fabricated(t, 1)
	r := New(o)
	var sent, received, flying, datagrams, resent uint64
	for i := range o.Final.Groups {
		g := &o.Final.Groups[i]
		u := &g.Ledger.Uplink
		sent, received, flying = sent+u.Sent, received+u.Received, flying+u.InFlight
		datagrams, resent = datagrams+g.Up.Datagrams, resent+g.Up.Resent
		for name, want := range map[string]float64{
			"reports.sent":    float64(g.Ledger.Uplink.Sent),
			"devices.asleep":  float64(g.States[client.Asleep]),
			"lost.up.outage":  float64(g.Up.Radio.Outcomes[radio.Outage]),
			"drain.count":     float64(g.Latency[sim.ToDrain].TotalCount()),
			"drain.p99":       float64(g.Latency[sim.ToDrain].ValueAtQuantile(99)) / 1e6,
			"end_to_end.max":  float64(g.Latency[sim.ToSubscriber].Max()) / 1e6,
			"battery.years":   g.Energy.Report.Life.Years,
			"octets.up":       float64(g.Up.Octets),
			"commands.late":   float64(g.Ledger.Downlink.Late),
			"datagrams.down":  float64(g.Down.Datagrams),
			"wills.fired":     0,
			"reports.missing": 0,
		} {
			if got, ok := r.Groups[i].Metrics[name]; !ok || got != want {
				t.Errorf("%s of %s is %v, %v; want %v", name, g.Name, got, ok, want)
			}
		}
		if sum := r.Groups[i].Metrics["battery.mah_per_day"]; math.Abs(sum-g.Energy.Report.Drain.Sum()) > 1e-9 {
			t.Errorf("%s takes %v mAh a day; want %v", g.Name, sum, g.Energy.Report.Drain.Sum())
		}
	}
	for name, want := range map[string]float64{
		"reports.lost":          float64(sent - received - flying),
		"reports.lost_share":    float64(sent-received-flying) / float64(sent),
		"retransmissions.share": float64(resent) / float64(datagrams),
		"devices":               10000,
		"violations":            0,
		"battery.years":         r.group("trackers").Metrics["battery.years"],
	} {
		if got, ok := r.All.Metrics[name]; !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s of all is %v, %v; want %v", name, got, ok, want)
		}
	}
	for _, m := range Metrics() {
		var sum float64
		for _, g := range r.Groups {
			sum += g.Metrics[m.Name]
		}
		if got := r.All.Metrics[m.Name]; (m.Unit == Count || m.Counter) && !m.Run && got != sum {
			t.Errorf("%s of all is %v; of the groups, %v", m.Name, got, sum)
		}
	}
	if _, ok := r.Groups[0].Metrics["violations"]; ok {
		t.Error("a group has violations of its own")
	}
}

// TestLifeIsWeighed has a group of few devices count for few, though as many of
// their lives are known.
func TestLifeIsWeighed(t *testing.T) {
	run := &sim.Stats{Groups: []sim.GroupStats{
		{Name: "many", Devices: 900, Energy: &sim.EnergyStats{Years: []float64{8, 8, 8}}},
		{Name: "few", Devices: 100, Energy: &sim.EnergyStats{Years: []float64{1, 2, 3}}},
	}}
	f := together(run).figures()
	if f["battery.years.median"] != 8 || f["battery.years.p10"] != 3 {
		t.Errorf("median %v, p10 %v; want 8, 3", f["battery.years.median"], f["battery.years.p10"])
	}
	l := newLife(together(run).years)
	want := &Life{Bin: 0.5, Shares: make([]float64, 17)}
	want.Shares[2], want.Shares[4], want.Shares[6], want.Shares[16] = 0.033333, 0.033333, 0.033333, 0.9
	if !reflect.DeepEqual(l, want) {
		t.Errorf("lives %+v; want %+v", l, want)
	}
}

// TestSamples has rates add up to what happened.
func TestSamples(t *testing.T) {
	o := fabricated(t, 1)
	s := New(o).Samples
	for i, series := range s.Groups {
		var sum, before float64
		for j, at := range s.At {
			sum += series.Sent[j] * (at - before)
			before = at
		}
		first := o.Samples[0].Groups[i].Ledger.Uplink.Sent // before any time has passed
		want := float64(o.Final.Groups[i].Ledger.Uplink.Sent - first)
		if math.Abs(sum-want) > 0.01*want {
			t.Errorf("group %d: rates add up to %v reports; want %v", i, sum, want)
		}
	}
	if n := len(s.At); n != 241 || s.At[n-1] != o.Ran.Seconds() {
		t.Errorf("%d moments, the last at %v", n, s.At[n-1])
	}
}

// TestJSON reads back what it writes, and refuses what it does not know.
func TestJSON(t *testing.T) {
	r := New(faulty(t))
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.String()
	got, err := ReadResult(&b)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read back, the result differs: %v", err)
	}
	for _, tt := range []struct{ text, want string }{
		{"", "EOF"},
		{"{}", "this is not the result of a run"},
		{"[1]", "this is not the result of a run"},
		{strings.Replace(whole, `"schema":1`, `"schema":2`, 1), "schema 2, and this program reads up to 1"},
		{whole[:len(whole)/2], "not the result of a run as JSON"},
		{`{"format":"dormouse-sim-result","schema":1}`, "cut short"},
		{strings.Replace(whole, `"at_s":[`, `"at_s":[1,`, 1), "cut short"},
		{strings.Replace(whole, `"shares":[`, `"shares":[0,`, 1), "the curve of"},
	} {
		if _, err := ReadResult(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ReadResult(%.60q…): %v; want %q", tt.text, err, tt.want)
		}
	}
}

// TestJSONNames pins the names of the JSON, which other programs read.
func TestJSONNames(t *testing.T) {
	var b bytes.Buffer
	r := New(faulty(t))
	r.Failures = []Failure{{}}
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	outline(&names, "", v)
	golden(t, "json.txt", names.String())
}

// outline writes the names in v, of lists those of the first element.
func outline(w *strings.Builder, indent string, v any) {
	switch v := v.(type) {
	case []any:
		if len(v) > 0 {
			outline(w, indent, v[0])
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(w, "%s%s\n", indent, k)
			if k != "metrics" { // see metrics.txt
				outline(w, indent+"  ", v[k])
			}
		}
	}
}

// TestPrometheus reads the text with Prometheus' own parser and has its linter
// look at it; a run that goes on says the same.
func TestPrometheus(t *testing.T) {
	o := faulty(t)
	r := New(o)
	var b bytes.Buffer
	if err := r.Prometheus(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&b)
	if err != nil {
		t.Fatal(err)
	}
	sent := families["dormouse_sim_reports_sent_total"].GetMetric()
	if len(sent) != 4 || sent[0].GetCounter().GetValue() != r.All.Metrics["reports.sent"] {
		t.Errorf("reports sent: %v", sent)
	}
	drain := families["dormouse_sim_drain_seconds"].GetMetric()
	if len(drain) != 4 || float64(drain[0].GetSummary().GetSampleCount()) != r.All.Metrics["drain.count"] {
		t.Errorf("drain: %v", drain)
	}
	for _, line := range []string{
		"dormouse_sim_violations_total 1234\n",
		fmt.Sprintf("dormouse_sim_loss_up_ratio{group=\"meters\"} %v\n", r.group("meters").Metrics["loss.up"]),
		fmt.Sprintf("dormouse_sim_drain_seconds{group=\"soil <probes>\",quantile=\"0.99\"} %v\n", r.group("soil <probes>").Metrics["drain.p99"]),
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no line %q", line)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Error(err)
	}
	var live *sim.Stats
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(Collector(func() *sim.Stats { return live })); err != nil {
		t.Fatal(err)
	}
	if all, err := reg.Gather(); err != nil || len(all) != 0 {
		t.Errorf("before the run there are %d metrics, %v", len(all), err)
	}
	live = o.Final
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(&now, f); err != nil {
			t.Fatal(err)
		}
	}
	if now.String() != text {
		t.Error("while it goes on, the run says something else than at its end")
	}
}

// TestText pins what a terminal gets.
func TestText(t *testing.T) {
	for name, r := range map[string]*Result{"passed": New(fabricated(t, 1)), "failed": New(faulty(t))} {
		r.Shed, r.Cut = map[string]uint64{"failed": 17}[name], map[string]string{"failed": "interrupted"}[name]
		r.Late = map[string]float64{"passed": 0.9, "failed": 2.5}[name]
		r.Silent = map[string]float64{"passed": 2.9, "failed": 7}[name]
		r.Used = []Use{{"simulator", 12.31, 380 << 20}, {"gateway", 100.9, 2 << 30}}
		var b strings.Builder
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.String())
	}
}

// TestCompare finds what is better and worse, whichever way that is.
func TestCompare(t *testing.T) {
	good, bad := New(fabricated(t, 1)), New(faulty(t))
	verdicts := func(old, now *Result) map[string]Verdict {
		m := map[string]Verdict{}
		for _, c := range Compare(old, now) {
			m[c.Group+" "+c.Metric.Name] = c.Verdict
		}
		return m
	}
	there, back := verdicts(good, bad), verdicts(bad, good)
	for name, want := range map[string]Verdict{
		" violations": Worse, " drain.p50": Worse, "trackers battery.years": Worse, "meters devices": Same, " devices.awake": Different,
		"soil <probes> loss.up": Worse,
	} {
		if there[name] != want {
			t.Errorf("%q is %q; want %q", name, there[name], want)
		}
		opposite := map[Verdict]Verdict{Worse: Better, Same: Same, Different: Different}[want]
		if back[name] != opposite {
			t.Errorf("the other way round, %q is %q; want %q", name, back[name], opposite)
		}
	}
	for name, v := range verdicts(good, good) {
		if v != Same {
			t.Errorf("compared with itself, %q is %q", name, v)
		}
	}
	bad.Seed = 1
	var b strings.Builder
	if err := CompareText(&b, good, bad); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Not the same run", "violations", "+1,234", "worse", "more figures are the same"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the comparison does not say %q:\n%s", want, b.String())
		}
	}
}

// TestNothing makes a report of a run in which nothing happened.
func TestNothing(t *testing.T) {
	o := &drive.Outcome{Plan: &sim.Plan{Name: "nothing"}, Final: &sim.Stats{}}
	r := New(o)
	if !r.Passed {
		t.Error("failed")
	}
	for _, write := range []func(b *bytes.Buffer) error{
		func(b *bytes.Buffer) error { return r.Text(b) },
		func(b *bytes.Buffer) error { return r.HTML(b, r) },
		func(b *bytes.Buffer) error { return r.Prometheus(b) },
		func(b *bytes.Buffer) error {
			if err := r.JSON(b); err != nil {
				return err
			}
			_, err := ReadResult(bytes.NewReader(b.Bytes()))
			return err
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil || b.Len() == 0 {
			t.Errorf("%d octets, %v", b.Len(), err)
		}
	}
}
