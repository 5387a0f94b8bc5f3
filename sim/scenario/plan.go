package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// asStated is a Duration that asks for a short run as the file has it.
const asStated = -1

// A builder makes a plan of what a reader has read.
type builder struct {
	*reader
	plan   *sim.Plan
	script float64 // what the stages' times are multiplied with
	own    float64 // what the devices' times are
	counts []int   // of devices, by group
}

// build reads the scenario with o laid over it, and makes a plan of it if
// there are no problems.
func (s *Scenario) build(o Overrides) *builder {
	docs := []*strict.Document{s.doc}
	var problems strict.Problems
	for _, arg := range o.Sets {
		d, problem := parseSetting(arg)
		if problem != nil {
			problems = append(problems, problem)
			continue
		}
		docs = append(docs, d)
	}
	read := func(brief bool) *reader {
		r := &reader{name: s.doc.Source.Name, file: defaults(), at: map[string]strict.Place{}, brief: brief}
		r.read(docs...)
		return r
	}
	r := read(o.Duration < 0)
	if 0 < o.Duration && o.Duration < r.file.Short.Below {
		r = read(true)
	}
	b := &builder{reader: r, plan: &sim.Plan{}}
	b.problems = append(problems, b.problems...)
	misread := b.problems
	b.problems = nil
	b.all(s.name, o)
	b.problems = append(misread, b.elsewhere(misread)...)
	return b
}

// elsewhere returns the problems that are not of lines where something could
// not be read at all, nor perhaps of what is missing for that reason.
func (b *builder) elsewhere(misread strict.Problems) strict.Problems {
	if len(misread) == 0 {
		return b.problems
	}
	lines := map[int]bool{0: true}
	for _, p := range misread {
		lines[p.Line] = true
	}
	return slices.DeleteFunc(b.problems, func(p *strict.Problem) bool { return lines[p.Line] })
}

// where is the place of the key that is set and nearest to the one asked for:
// itself, or the section that it is missing from.
func (b *builder) where(keys ...string) strict.Place {
	for _, key := range keys {
		for ; key != ""; key = key[:max(0, strings.LastIndexAny(key, ".["))] {
			if at, ok := b.at[key]; ok {
				return at
			}
		}
	}
	return strict.Place{}
}

// exactly is the place of the first of the keys that is set; of the sections
// they are missing from if none is.
func (b *builder) exactly(keys ...string) strict.Place {
	for _, key := range keys {
		if at, ok := b.at[key]; ok {
			return at
		}
	}
	return b.where(keys...)
}

// all makes the plan, or complains.
func (b *builder) all(name string, o Overrides) {
	f, p := b.file, b.plan
	p.Name, p.About = cmp.Or(f.Name, name), f.About
	p.Seed = cmp.Or(o.Seed, f.Seed)
	p.Forgets = f.Gateway.Forgets
	if len(f.Groups) == 0 {
		b.complain(b.where("groups"), "there are no groups; say under groups: who takes part")
	}
	if len(f.Stages) == 0 {
		b.complain(b.where("stages"), "there are no stages; say under stages: what happens, such as [{name: run, for: 1h}]")
	}
	if f.Noon >= day {
		b.complain(b.where("noon"), "noon is %s; a time of day is below 24h", duration(f.Noon))
	}
	if !b.pace(o.Duration) || !b.nodes(o.Nodes) {
		return
	}
	p.Noon = f.Noon
	p.Settle = times(f.Settle, b.own)
	b.sites()
	b.stages()
	for i := range f.Groups {
		p.Groups = append(p.Groups, b.group(i))
	}
	b.faults()
	b.thresholds()
}

// mostDevices is how many devices one process may have; a group may have as
// many.
const mostDevices = 1_000_000

// nodes shares out n devices among the groups, in proportion and at least one
// to each; what is left by rounding goes to the largest remainders.
func (b *builder) nodes(n int) bool {
	gs := b.file.Groups
	total := 0
	for i := range gs {
		b.counts = append(b.counts, gs[i].Count)
		total += gs[i].Count
	}
	if all := cmp.Or(n, total); all > mostDevices {
		b.complain(b.where("groups"), "there are %d devices in all; one process has room for %d", all, mostDevices)
		return false
	}
	if n == 0 || total == 0 {
		return true
	}
	if n < len(gs) {
		b.complain(strict.Place{}, "%d devices are asked for, and there are %d groups; each needs one", n, len(gs))
		return false
	}
	type rest struct {
		group int
		of    int
	}
	var rests []rest
	left := n - len(gs)
	for i := range gs {
		share := gs[i].Count * (n - len(gs))
		b.counts[i] = 1 + share/total
		left -= share / total
		rests = append(rests, rest{i, share % total})
	}
	slices.SortStableFunc(rests, func(x, y rest) int { return cmp.Compare(y.of, x.of) })
	for _, r := range rests[:left] {
		b.counts[r.group]++
	}
	return true
}

func (b *builder) sites() {
	for i := range b.file.Sites {
		s := &b.file.Sites[i]
		o := b.outages(s.Outages)
		key := "sites." + s.Name
		b.blame((radio.Config{Outages: o}).Validate(), func(k string) (string, strict.Place) {
			return key + "." + k, b.where(key + "." + k)
		})
		if b.plan.Sites == nil {
			b.plan.Sites = map[string]radio.Outages{}
		}
		b.plan.Sites[s.Name] = o
	}
}

// stages takes over the script. What groups do in a stage follows in group.
func (b *builder) stages() {
	arrived := map[string]string{}
	var stated, made time.Duration // until here; together the stages take to the nanosecond what they are to
	for i := range b.file.Stages {
		s := &b.file.Stages[i]
		key := fmt.Sprintf("stages[%d]", i)
		stated += s.For
		st := sim.Stage{Name: cmp.Or(s.Name, fmt.Sprintf("stage %d", i+1)), For: times(stated, b.script) - made}
		made += st.For
		if s.For <= 0 {
			b.complain(b.where(key+".for", key), "%s.for is not set; say how long the stage takes", key)
		}
		for _, a := range s.Arrive {
			k := key + ".arrive." + a.Name
			b.groupNamed(k, a.Name)
			switch first, again := arrived[a.Name]; {
			case again:
				b.complain(b.where(k), "%s: %s arrives in stage %s already; devices arrive once", k, a.Name, first)
			case a.Over > s.For:
				b.complain(b.exactly(k+".over", k), "%s takes %s, and the stage %s; let it end within its stage", k, duration(a.Over), duration(s.For))
			}
			arrived[a.Name] = st.Name
			if st.Arrive == nil {
				st.Arrive = map[string]sim.Ramp{}
			}
			st.Arrive[a.Name] = sim.Ramp{Over: times(a.Over, b.script), Spread: a.Spread}
		}
		for _, a := range s.Workload {
			b.groupNamed(key+".workload."+a.Name, a.Name)
		}
		b.plan.Stages = append(b.plan.Stages, st)
	}
}

// groupNamed finds a group, or complains.
func (b *builder) groupNamed(key, name string) int {
	var known []string
	for i := range b.file.Groups {
		if b.file.Groups[i].Name == name {
			return i
		}
		known = append(known, b.file.Groups[i].Name)
	}
	b.complain(b.where(key), "%s: %s", key, unknown("group", name, known))
	return -1
}

// group makes a group of the plan, and what it does in each stage.
func (b *builder) group(i int) *sim.Group {
	g := b.scaled(b.file.Groups[i], "groups."+b.file.Groups[i].Name)
	key := "groups." + g.Name
	made := b.made(&g, b.counts[i])
	b.check(made, &g, key)
	if g.Site != "" {
		if _, ok := b.plan.Sites[g.Site]; !ok {
			var known []string
			for _, s := range b.file.Sites {
				known = append(known, s.Name)
			}
			b.complain(b.where(key+".site"), "%s.site: %s", key, unknown("site", g.Site, known))
		}
	}
	for si := range b.file.Stages {
		for _, a := range b.file.Stages[si].Workload {
			if a.Name != g.Name {
				continue
			}
			at := fmt.Sprintf("stages[%d].workload.%s", si, a.Name)
			o := b.workload(at, a.Workload)
			if o == nil {
				continue
			}
			there := b.file.Groups[i]
			b.lay(o, &there.Workload)
			there = b.scaled(there, "workloads."+o.Name, key)
			m := *made
			m.Workload = there.Workload
			b.check(&m, &there, "workloads."+o.Name, key)
			b.topic(made, &m, "workloads."+o.Name)
			if b.plan.Stages[si].Workloads == nil {
				b.plan.Stages[si].Workloads = map[string]workload.Config{}
			}
			b.plan.Stages[si].Workloads[g.Name] = there.Workload
		}
	}
	return made
}

// topic complains of commands on another topic than the devices have
// subscribed to when they connected.
func (b *builder) topic(made, m *sim.Group, key string) {
	if is, was := m.Workload.Commands.Topic, made.Workload.Commands.Topic; is != was {
		k := key + ".commands.topic"
		b.complain(b.where(k), "%s is %q, and %s subscribes to %q when it connects; give the topic in the group",
			k, is, made.Name, was)
	}
}

// workload finds one by name, or complains.
func (b *builder) workload(key, name string) *overlay {
	var known []string
	for i := range b.file.Workloads {
		if b.file.Workloads[i].Name == name {
			return &b.file.Workloads[i]
		}
		known = append(known, b.file.Workloads[i].Name)
	}
	b.complain(b.where(key), "%s: %s", key, unknown("workload", name, known))
	return nil
}

// made is the group as the simulator has it.
func (b *builder) made(g *group, count int) *sim.Group {
	m := &sim.Group{
		Name: g.Name, Count: count, ClientID: g.ClientID, Firmware: g.Firmware,
		Client:  clientOf(g.Firmware),
		Session: sim.Session{KeepAlive: g.KeepAlive, CleanSession: g.CleanSession, Will: g.Will},
		Topics:  g.Topics, Workload: g.Workload, Ills: g.Ills,
		Radio: radio.Config{
			Up: g.Radio.Up, Down: g.Radio.Down, HalfDuplex: g.Radio.HalfDuplex,
			NAT: g.Radio.NAT, Outages: g.Radio.Outages,
		},
		Site: g.Site, Address: g.Address,
	}
	if i := g.Retry.Interval; i != nil {
		m.Client.RetryInterval = *i
	}
	if n := g.Retry.Max; n != nil {
		m.Client.MaxRetries = *n
	}
	if h := g.Energy; h != nil {
		m.Hardware = h.made(b.name)
	}
	if c := &g.DTLS; g.Transport == overDTLS {
		m.DTLS = &sim.DTLS{Identity: c.Identity, KeyFile: c.PSKFile, CID: c.CID, Retry: c.Retry}
	} else if c.PSKFile != "" {
		key := "groups." + g.Name
		b.complain(b.where(key+".dtls.psk_file"), "%s.dtls.psk_file is set, and the devices speak plain UDP; set %s.transport: dtls, or leave it out", key, key)
	}
	return m
}

// clientOf is how a firmware goes about it.
func clientOf(f sim.Firmware) client.Config {
	switch f {
	case sim.Emcute:
		return client.Emcute()
	case sim.Paho:
		return client.Paho()
	case sim.Zephyr:
		return client.Zephyr()
	}
	return client.DefaultConfig()
}

// made is the hardware as the simulator has it. Figures that are not the
// preset's name the file they come from.
func (h *hardware) made(name string) *energy.Hardware {
	e := &energy.Hardware{Celsius: h.Temperature}
	e.Radio = h.Radio.made(&h.Radio.Of.Sources, name)
	e.Board = h.Board.made(&h.Board.Of.Sources, name)
	e.Battery = h.Battery.made(&h.Battery.Of.Sources, name)
	return e
}

// blame complains of each error that another package joined, whose text begins
// with a key; where says what the file calls it and where it is.
func (b *builder) blame(err error, where func(key string) (string, strict.Place)) {
	for _, e := range list(err) {
		first, rest, _ := strings.Cut(e.Error(), " ")
		key, at := where(strings.TrimRight(first, ",:"))
		b.complain(at, "%s %s", key, rest)
	}
}

// list is the errors that were joined to one.
func list(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}
