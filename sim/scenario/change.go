package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim"
)

var kindType = reflect.TypeFor[sim.EventKind]()

// A setting is a key that was changed while a run went on.
type setting struct {
	at    time.Duration
	group string
	key   string // the first part of it
	over  overlay
}

// Set makes a change to a group of the plan that was made last, for a run that
// is at so long after its start. The settings are "key=value" with keys of a
// group as the file has them: reports, commands, sleep, ills, radio and retry,
// such as "reports.every=5s". Times are meant as they are, even where the plan
// is faster than the file. What was set before stays, until a stage gives the
// group another workload. The error is [strict.Problems], and then nothing is changed.
func (s *Scenario) Set(at time.Duration, group string, settings ...string) (*sim.Change, error) {
	b := s.build(s.over)
	b.problems = nil
	gi := b.groupNamed("the group", group)
	if gi < 0 {
		return nil, strict.Problems{{Source: "set", Message: strings.TrimPrefix(b.problems[0].Message, "the group: ")}}
	}
	if len(settings) == 0 {
		return nil, strict.Problems{{Source: "set " + group, Message: "nothing is set; write KEY=VALUE, such as reports.every=5s"}}
	}
	live := slices.Clone(s.live)
	for _, arg := range settings {
		d, problem := parseSetting(arg)
		if problem != nil {
			return nil, strict.Problems{problem}
		}
		d.Source.Name = fmt.Sprintf("set %s %s", group, arg)
		key, _, _ := strings.Cut(arg, ".")
		if name, _, _ := strings.Cut(key, "="); fixed(name) {
			b.complain(strict.Place{Source: d.Source}, "%s cannot change while a run goes on; what can is reports, commands, sleep, ills, radio and retry", name)
			continue
		}
		set := setting{at: at, group: group, key: key}
		set.over.add(b.reader, "", d.Root)
		live = append(live, set)
	}
	if len(b.problems) > 0 {
		return nil, b.problems.Tidy()
	}
	g, since := b.groupAt(gi, at, len(b.file.Faults))
	g = b.scaled(g, "groups."+group)
	for i := range live {
		l := &live[i]
		workload := l.key == "reports" || l.key == "commands" || l.key == "sleep"
		if l.group == group && (!workload || l.at >= since) {
			g = b.changed(g, &l.over)
		}
	}
	b.name = "set " + group
	b.at = map[string]strict.Place{} // the file is not to blame
	c := b.checked(gi, &g, "")
	if len(b.problems) > 0 {
		return nil, b.problems.Tidy()
	}
	s.live = live
	return c, nil
}

// fixed reports whether a key of a group is none of a change.
func fixed(key string) bool {
	_, live := fieldOf(reflect.TypeFor[change](), key)
	_, known := fieldOf(reflect.TypeFor[group](), key)
	return known && !live
}

// groupAt is a group as the script has it so long after the start of the run,
// its own times not yet multiplied: as of the stage, and with the changes
// before the fault of number before. since is when it got its workload.
func (b *builder) groupAt(gi int, at time.Duration, before int) (g group, since time.Duration) {
	g = b.file.Groups[gi]
	own := g.Workload
	var begin time.Duration
	var sets []int // in the order of time
	for i := range b.file.Faults {
		if f := &b.file.Faults[i]; f.Kind == sim.Set && f.Group == g.Name && i != before {
			sets = append(sets, i)
		}
	}
	slices.SortStableFunc(sets, func(x, y int) int { return int(b.file.Faults[x].At - b.file.Faults[y].At) })
	lay := func(until time.Duration) {
		for len(sets) > 0 {
			f := &b.file.Faults[sets[0]]
			when := times(f.At, b.script)
			if when >= until || when > at || when == at && sets[0] > before {
				return
			}
			g = b.changed(g, &f.Set)
			sets = sets[1:]
		}
	}
	for si := range b.file.Stages {
		st := &b.file.Stages[si]
		lay(begin)
		if begin > at {
			break
		}
		for _, a := range st.Workload {
			if a.Name != g.Name {
				continue
			}
			if o := b.workload(fmt.Sprintf("stages[%d].workload.%s", si, a.Name), a.Workload); o != nil {
				g.Workload = own
				b.lay(o, &g.Workload)
				since = begin
			}
		}
		begin += b.plan.Stages[si].For
	}
	lay(at + 1)
	return g, since
}

// change is what the set of fault fi makes of group gi.
func (b *builder) change(gi, fi int) *sim.Change {
	f := &b.file.Faults[fi]
	key := fmt.Sprintf("faults[%d].set", fi)
	g, _ := b.groupAt(gi, times(f.At, b.script), fi)
	g = b.scaled(b.changed(g, &f.Set), key, "groups."+g.Name)
	return b.checked(gi, &g, key)
}

// checked makes a change of g, or complains.
func (b *builder) checked(gi int, g *group, key string) *sim.Change {
	made := b.made(g, b.counts[gi])
	b.check(made, g, key, "groups."+g.Name)
	b.topic(b.made(&b.file.Groups[gi], b.counts[gi]), made, key)
	return &sim.Change{Group: made}
}
