package strict_test

import (
	"fmt"
	"strings"
	"testing"

	"dormouse/configs/strict"
)

// TestProblem: a problem shows its line with a caret below it, unless the line
// is too long to show, and nothing of it steers the terminal.
func TestProblem(t *testing.T) {
	value := func(text string) (at strict.Place) {
		parsed(t, text).Keys("", nil, func(_ string, _ strict.Place, n *strict.Node) { at = n.At })
		return at
	}
	for _, tt := range []struct {
		at   strict.Place
		want string
	}{
		{value("# one\nlevel: loud\n"), "f.yaml:2:8: \ufffd[2J \\t it\n    2 | level: loud\n      |        ^"},
		{value("level: " + strings.Repeat("x", 200)), "f.yaml:1:8: \ufffd[2J \\t it"},
		{strict.Place{}, "default: \ufffd[2J \\t it"},
	} {
		if got := tt.at.Problem("%s", "\x1b[2J \t it").Error(); got != tt.want {
			t.Errorf("it says\n%s\nwant\n%s", got, tt.want)
		}
	}
}

// TestDiscreet: a problem shows no password of a URL, in what it says, in the
// line nor in an argument, and its caret is where it was; nor, in brief, lines.
func TestDiscreet(t *testing.T) {
	var at strict.Place
	const url = "http://ann:p:ss@h/"
	parsed(t, "a: "+url+"\nb: 1\n").Keys("", nil, func(name string, _ strict.Place, n *strict.Node) {
		if name == "a" {
			at = n.At
		}
	})
	p := at.Problem("%q is wrong, as is mail@example.org", url)
	const says = `f.yaml:1:4: "http://ann:xxxx@h/" is wrong, as is mail@example.org`
	if got := p.Error(); got != says+"\n    1 | a: http://ann:xxxx@h/\n      |    ^" {
		t.Errorf("it says\n%s", got)
	}
	if got := (strict.Problems{p, p}).Brief(); got != says+"\n"+says || p.Excerpt == "" {
		t.Errorf("in brief it says\n%s", got)
	}
	at.Source = &strict.Source{Name: "--set a=" + url}
	if got := at.Problem("x").Error(); got != "--set a=http://ann:xxxx@h/: x" {
		t.Errorf("of an argument it says %s", got)
	}
}

// TestTidy: problems are told once each, source after source and by their
// lines, and no more of them than anyone reads.
func TestTidy(t *testing.T) {
	ps := strict.Problems{
		{Source: "f", Line: 3, Column: 1, Message: "c"},
		{Source: "f", Line: 1, Column: 9, Message: "b"},
		{Source: "--set x", Message: "d"},
		{Source: "f", Line: 1, Column: 2, Message: "a"},
		{Source: "f", Line: 3, Column: 1, Message: "c"},
	}
	const want = "f:1:2: a\nf:1:9: b\nf:3:1: c\n--set x: d"
	if got := ps.Tidy().Error(); got != want {
		t.Errorf("they say\n%s\nwant\n%s", got, want)
	}
	ps = nil
	for i := range strict.MaxProblems + 7 {
		ps = append(ps, &strict.Problem{Source: "f", Line: 1 + i, Message: fmt.Sprint(i)})
	}
	ps = ps.Tidy()
	if last := ps[len(ps)-1].Error(); len(ps) != strict.MaxProblems+1 || last != "f: and 7 more" {
		t.Errorf("%d problems are told, the last is %q; want %d and then %q", len(ps), last, strict.MaxProblems, "f: and 7 more")
	}
}

// TestUnknownKey: the best guess at what was meant is told, or what there is.
func TestUnknownKey(t *testing.T) {
	known := []string{"level", "format", "interval"}
	for _, tt := range []struct{ key, name, elsewhere, want string }{
		{"log", "levl", "", `there is no key "levl" in log; did you mean "level"?`},
		{"log", "Interval", "a.interval", `there is no key "Interval" in log; did you mean "interval"?`},
		{"", "enabled", "admin.enabled", `there is no key "enabled" at the top; did you mean admin.enabled?`},
		{"log", "colour", "", `there is no key "colour" in log; the keys there are level, format, interval`},
		{"log", "x", "", `there is no key "x" in log; the keys there are level, format, interval`},
		{"log", strings.Repeat("level", 1000), "", "the keys there are level"},
	} {
		if err := strict.UnknownKey(tt.key, tt.name, known, tt.elsewhere); !strings.Contains(err.Error(), tt.want) {
			t.Errorf("it says %v, want %s", err, tt.want)
		}
	}
	if err := strict.UnknownKey("log", "x", nil, ""); err.Error() != `there is no key "x" in log, which has none` {
		t.Errorf("of a section without keys it says %v", err)
	}
}

// TestClosest counts letters, whatever the distance.
func TestClosest(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		octets     int
	}{
		{"reports.lost", "reports.lost", 0},
		{"report.lost", "reports.lost", 1},
		{"drain.p95", "drain.p99", 1},
		{"", "drain.p99", 9},
	} {
		if got, n := strict.Closest(tt.name, []string{"reports.lost", "drain.p99"}); got != tt.want || n != tt.octets {
			t.Errorf("Closest(%q) is %s, %d octets away; want %s, %d", tt.name, got, n, tt.want, tt.octets)
		}
	}
	if got := strict.OneOf([]string{"a", "b", "c"}) + strict.OneOf([]string{"a"}) + strict.OneOf(nil); got != "a, b or ca" {
		t.Errorf("OneOf writes %q", got)
	}
}
