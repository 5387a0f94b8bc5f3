package scenario

import (
	"cmp"
	"fmt"
	"slices"

	"dormouse/sim"
	"dormouse/sim/report"
	"dormouse/sim/workload"
)

// faults takes over what befalls the devices. A change is of the group as it
// is by then.
func (b *builder) faults() {
	length := b.plan.Duration()
	for i := range b.file.Faults {
		f := &b.file.Faults[i]
		key := fmt.Sprintf("faults[%d]", i)
		e := sim.Event{At: times(f.At, b.script), Kind: f.Kind, Group: f.Group, Share: f.Share, For: times(f.For, b.script)}
		switch {
		case f.Kind == "":
			b.complain(b.where(key), "%s has no kind; it must be %s", key, names(choicesOf[kindType]))
			continue
		case e.At >= length:
			b.complain(b.where(key+".at"), "%s.at is %s, and the stages are over after %s; let it happen before", key, duration(e.At), duration(length))
		}
		gi := -1
		if f.Group != "" {
			gi = b.groupNamed(key+".group", f.Group)
		}
		b.befits(key, f, gi)
		if f.Kind == sim.Set && gi >= 0 && len(f.Set.entries) > 0 {
			e.Set = b.change(gi, i)
		}
		b.plan.Events = append(b.plan.Events, e)
	}
	slices.SortStableFunc(b.plan.Events, func(x, y sim.Event) int { return cmp.Compare(x.At, y.At) })
}

// befits complains of keys that a fault has and its kind does not, or needs.
func (b *builder) befits(key string, f *fault, group int) {
	stated := func(name string) bool { _, ok := b.at[key+"."+name]; return ok }
	lasts := f.Kind == sim.Outage || f.Kind == sim.Restart || f.Kind == sim.Reboot
	if f.For > 0 && !lasts {
		b.complain(b.where(key+".for"), "%s.for: %s happens at once; leave it out", key, f.Kind)
	}
	if f.For == 0 && f.Kind == sim.Outage {
		b.complain(b.where(key+".for", key), "%s.for is not set; say how long the outage lasts", key)
	}
	if f.Kind == sim.Restart && (stated("group") || stated("share")) {
		b.complain(b.exactly(key+".group", key+".share"), "%s: there is one gateway, whatever the group; leave group and share out", key)
	}
	if f.Kind != sim.Restart && f.Share == 0 {
		b.complain(b.where(key+".share"), "%s.share is 0; nobody is affected", key)
	}
	if f.Kind == sim.WakeUp {
		b.sleepers(key, group)
	}
	switch {
	case f.Kind != sim.Set && stated("set"):
		b.complain(b.where(key+".set"), "%s.set is for kind set; leave it out, or make it that", key)
	case f.Kind == sim.Set && stated("share"):
		b.complain(b.where(key+".share"), "%s.share: a group changes as a whole; leave it out", key)
	case f.Kind == sim.Set && f.Group == "":
		b.complain(b.where(key), "%s.group is not set; say whose keys change", key)
	case f.Kind == sim.Set && len(f.Set.entries) == 0:
		b.complain(b.where(key), "%s.set is not set; say what changes, such as {reports: {every: 5s}}", key)
	}
}

// sleepers complains if nobody could be woken.
func (b *builder) sleepers(key string, group int) {
	for i := range b.file.Groups {
		if group >= 0 && i != group {
			continue
		}
		if b.file.Groups[i].Workload.Sleep.Policy == workload.Sleeping {
			return
		}
		for si := range b.plan.Stages {
			if w, ok := b.plan.Stages[si].Workloads[b.file.Groups[i].Name]; ok && w.Sleep.Policy == workload.Sleeping {
				return
			}
		}
	}
	b.complain(b.where(key+".kind"), "%s wakes sleepers, and nobody there sleeps; give the group sleep: {policy: sleep, for: 5m}", key)
}

// thresholds takes over what has to come out.
func (b *builder) thresholds() {
	for i, text := range b.file.Thresholds {
		key := fmt.Sprintf("thresholds[%d]", i)
		t, err := report.ParseThreshold(string(text))
		if err != nil {
			b.complain(b.where(key), "%s: %v", key, err)
			continue
		}
		if t.Group != "" {
			b.groupNamed(key, t.Group)
		}
		b.plan.Thresholds = append(b.plan.Thresholds, t)
	}
}
