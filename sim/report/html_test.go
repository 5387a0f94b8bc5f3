package report

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// pageFile writes the page of r to a file.
func pageFile(t *testing.T, name string, r, before *Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b, before); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.ArtifactDir(), name+".html")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPage opens the report in a browser, from a file: what it shows is what
// the result says, and it asks for nothing else.
func TestPage(t *testing.T) {
	good := New(fabricated(t, 1))
	bad := New(faulty(t))
	b := newBrowser(t)
	for _, tt := range []struct {
		name      string
		r, before *Result
		width     int
		scheme    string
	}{
		{"desktop", good, nil, 1280, "light"},
		{"phone", good, nil, 390, "light"},
		{"failed-dark", bad, good, 1280, "dark"},
		{"failed-phone-dark", bad, good, 390, "dark"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.t = t
			b.open(pageFile(t, tt.name, tt.r, tt.before), tt.width, tt.scheme)
			b.wantFigures(tt.r)
			b.wantCurves(tt.r)
			b.wantBefore(tt.r, tt.before)
			b.wantInPlace(tt.width)
			var verdict, seed, command string
			b.eval(`document.querySelector("#verdict strong").textContent`, &verdict)
			b.eval(`document.querySelector("#seed").textContent`, &seed)
			b.eval(`document.querySelector("#command").textContent`, &command)
			if want := map[bool]string{true: "Passed", false: "Failed"}[tt.r.Passed]; verdict != want {
				t.Errorf("the verdict is %q; want %q", verdict, want)
			}
			if seed != "18446744073709551609" || command != "dormouse sim run field-trial --seed 18446744073709551609" {
				t.Errorf("seed %q, command %q", seed, command)
			}
			b.wantPicture(b.shoot(tt.name, tt.width))
		})
	}
	t.Run("one-group", func(t *testing.T) {
		b.t = t
		o := fabricated(t, 1)
		o.Plan.Groups = o.Plan.Groups[:1]
		for _, s := range append(o.Samples, o.Final) {
			s.Groups = s.Groups[:1]
		}
		one := New(o)
		b.open(pageFile(t, "one-group", one, good), 1280, "light")
		var plots, choices, rows int
		b.eval(`Object.keys(charts).length`, &plots)
		b.eval(`document.querySelectorAll("#group").length`, &choices)
		b.eval(`document.querySelectorAll("#latencies tr").length`, &rows)
		if plots != 6 || choices != 0 || rows != 6 {
			t.Errorf("%d plots, %d choices of groups, %d rows of latencies; want 6, 0, 6", plots, choices, rows)
		}
		b.wantPicture(b.shoot("one-group", 1280))

		b.open(pageFile(t, "more-groups", good, one), 390, "light") // of which the run before had one
		b.eval(`(s => { s.value = "2"; s.dispatchEvent(new Event("change")) })(document.getElementById("group"))`, nil)
		var dashed int
		b.eval(`Object.values(charts).flatMap(u => u.series).filter(s => s.label.endsWith("before")).length`, &dashed)
		if dashed != 1 { // the life of the one that both have
			t.Errorf("%d curves of a group that the run before did not have", dashed-1)
		}
	})
	t.Run("paper", func(t *testing.T) {
		b.t = t
		const paper = 690 // pixels across A4 within its margins
		b.open(pageFile(t, "paper", bad, good), paper, "dark")
		b.call("Emulation.setEmulatedMedia", object{"media": "print"})
		b.eval(`dispatchEvent(new Event("beforeprint"))`, nil)
		b.wantPicture(b.shoot("paper", paper))
		b.eval(`dispatchEvent(new Event("afterprint"))`, nil)
		b.call("Emulation.setEmulatedMedia", object{"media": ""})
		if pdf := b.print("paper"); !bytes.HasPrefix(pdf, []byte("%PDF-")) || len(pdf) < 50_000 {
			t.Errorf("%d octets that are no document", len(pdf))
		}
	})
	if len(b.requests) > 0 || len(b.errors) > 0 {
		t.Errorf("the page asked and complained: %v", b)
	}
}

// wantFigures compares every figure on the page with the result.
func (b *browser) wantFigures(r *Result) {
	b.t.Helper()
	var seen []struct{ Metric, Group, Text string }
	b.eval(`[...document.querySelectorAll("[data-metric]")].map(e => ({Metric: e.dataset.metric, Group: e.dataset.group || "", Text: e.textContent}))`, &seen)
	shown := map[string]bool{}
	for _, s := range seen {
		m, ok := MetricNamed(s.Metric)
		g := r.group(s.Group)
		if !ok || g == nil {
			b.t.Errorf("the page has a figure %s of %q, which does not exist", s.Metric, s.Group)
			continue
		}
		v, measured := g.Metrics[s.Metric]
		if want := quantity(v, m.Unit); measured && s.Text != want {
			b.t.Errorf("%s of %q is %q on the page; want %q", s.Metric, s.Group, s.Text, want)
		}
		if measured {
			shown[s.Group+" "+s.Metric] = true
		}
	}
	n := 0
	for _, g := range append(r.Groups, r.All) {
		for m := range g.Metrics {
			if n++; !shown[g.Name+" "+m] {
				b.t.Errorf("%s of %q is not on the page", m, g.Name)
			}
		}
	}
	if n < 200 {
		b.t.Errorf("the result has %d figures only", n)
	}
}

// wantCurves compares what the charts have drawn with the result: of all
// groups, and then of one.
func (b *browser) wantCurves(r *Result) {
	b.t.Helper()
	for i, s := range append([]*Series{r.Samples.All}, r.Samples.Groups...) {
		if i > 0 {
			b.eval(`(s => { s.value = "`+string(rune('0'+i-1))+`"; s.dispatchEvent(new Event("change")) })(document.getElementById("group"))`, nil)
		}
		for _, c := range []struct {
			plot, label string
			want        []float64
		}{
			{"plot-messages", "received", s.Received}, {"plot-datagrams", "up", s.Up}, {"plot-loss", "lost up", s.LostUp},
			{"plot-states", "asleep", s.States["asleep"]},
		} {
			var at, got []float64
			b.eval(`charts["`+c.plot+`"].data[0]`, &at)
			b.eval(`charts["`+c.plot+`"].data[charts["`+c.plot+`"].series.findIndex(s => s.label === "`+c.label+`")]`, &got)
			if !reflect.DeepEqual(at, r.Samples.At) || !reflect.DeepEqual(got, c.want) {
				b.t.Errorf("group %d: %s of %s has drawn %d moments, %.60v…; want %d, %.60v…", i, c.label, c.plot, len(got), got, len(c.want), c.want)
			}
		}
		var top []float64
		b.eval(`charts["plot-states"].data[1]`, &top)
		devices := r.All.Metrics["devices"]
		if i > 0 {
			devices = r.Groups[i-1].Metrics["devices"]
		}
		for _, v := range top {
			if math.Abs(v-devices) > 0.5 {
				b.t.Errorf("group %d: the states stand for %v devices; want %v", i, v, devices)
				break
			}
		}
	}
	var slowest float64
	last := r.Groups[len(r.Groups)-1].Latencies["drain"]
	b.eval(`Math.max(...charts["plot-latency"].data[charts["plot-latency"].series.findIndex(s => s.label === "wake to drained")].filter(v => v != null))`, &slowest)
	if slowest != last.Curve[len(last.Curve)-1] {
		b.t.Errorf("the slowest drain drawn is %v; want %v", slowest, last.Curve[len(last.Curve)-1])
	}
	var lives int
	b.eval(`Object.keys(charts).filter(k => k.startsWith("life-")).length`, &lives)
	if lives != len(r.Groups) {
		b.t.Errorf("%d histograms of battery life; want %d", lives, len(r.Groups))
	}
	b.eval(`(s => { s.value = "-1"; s.dispatchEvent(new Event("change")) })(document.getElementById("group"))`, nil)
	b.eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`, nil)
}

// wantBefore has the run before beside the one that is shown: dashed curves, a
// second bar for each battery, and no change that is not one.
func (b *browser) wantBefore(r, before *Result) {
	b.t.Helper()
	var got struct{ Messages, Datagrams, Loss, Latency, Lives, Bars, Changes int }
	b.eval(`(() => {
		const dashed = name => charts[name] ? charts[name].series.filter(s => s.label.endsWith("before")).length : 0;
		return {
			Messages: dashed("plot-messages"), Datagrams: dashed("plot-datagrams"), Loss: dashed("plot-loss"), Latency: dashed("plot-latency"),
			Lives: Object.keys(charts).filter(k => k.startsWith("life-") && dashed(k)).length,
			Bars: document.querySelectorAll(".spent").length,
			Changes: document.querySelectorAll("#comparison .better, #comparison .worse").length / 2,
		};
	})()`, &got)
	want := got
	want.Messages, want.Datagrams, want.Loss, want.Latency, want.Lives, want.Bars, want.Changes = 0, 0, 0, 0, 0, len(r.Groups), 0
	if before != nil {
		want.Messages, want.Datagrams, want.Loss, want.Latency, want.Lives, want.Bars = 3, 2, 3, 5, len(r.Groups), 2*len(r.Groups)
		for _, c := range Compare(before, r) {
			if c.Verdict == Better || c.Verdict == Worse {
				want.Changes++
			}
		}
	}
	if got != want {
		b.t.Errorf("of the run before the page has %+v; want %+v", got, want)
	}
}

// wantInPlace finds what sticks out: a page is as wide as the screen.
func (b *browser) wantInPlace(width int) {
	b.t.Helper()
	var wide int
	b.eval("document.documentElement.scrollWidth", &wide)
	if wide > width {
		b.t.Errorf("the page is %d pixels wide on a screen of %d", wide, width)
	}
}

// wantPicture wants a picture with something on it.
func (b *browser) wantPicture(picture []byte) {
	b.t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		b.t.Fatal(err)
	}
	colours := map[[3]uint32]bool{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 3 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 3 {
			r, g, b, _ := img.At(x, y).RGBA()
			colours[[3]uint32{r, g, b}] = true
		}
	}
	if len(colours) < 50 {
		b.t.Errorf("the picture has %d colours", len(colours))
	}
}

// TestPageEscapes has a device say what a page must not carry out.
func TestPageEscapes(t *testing.T) {
	r := New(faulty(t))
	r.Command = `dormouse sim run "</script><script>alert(2)</script>"`
	var b bytes.Buffer
	if err := r.HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>alert", "soil <probes>"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	if n := strings.Count(b.String(), "</script>"); n != 3 {
		t.Errorf("the page ends %d scripts; want 3", n)
	}
	for _, s := range []string{"http://", "https://", "src=", "@import", "url("} {
		page := strings.ReplaceAll(b.String(), "https://github.com/leeoniya/uPlot", "")
		if strings.Contains(page, s) {
			t.Errorf("the page has %q in it", s)
		}
	}
}
