package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim/energy"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// setLoss reads a loss that is one word: a share or a preset.
func setLoss(l *radio.Loss, text string) error {
	if v, err := parseFloat(text, ""); err == nil {
		switch {
		case v > 1:
			return fmt.Errorf("%q is more than all; write a share such as 20%% or 0.2", text)
		case text == "1":
			return errors.New("1 is all; write 1% or 100%")
		}
		*l = radio.Loss{Mean: v} // what is below 0 the radio refuses
		return nil
	}
	g, err := radio.Preset(text)
	if err != nil {
		return fmt.Errorf("%w; or write a share such as 20%%", err)
	}
	*l = radio.Loss{Bursts: g}
	return nil
}

// setDelay reads 30ms or 30ms±10ms, which is uniform.
func setDelay(d *radio.Delay, text string) error {
	*d = radio.Delay{}
	mean, spread, ok := strings.Cut(strings.ReplaceAll(text, "+-", "±"), "±")
	var err error
	if d.Mean, err = parseDuration(strings.TrimSpace(mean)); err != nil || !ok {
		return err
	}
	d.Distribution = radio.Uniform
	d.Spread, err = parseDuration(strings.TrimSpace(spread))
	return err
}

// restart forgets what was said of a section before where it does not go with
// what is said now: of a loss or a delay all, of a sleep all if the policy is
// said anew, and of a payload the size if only the format is.
func restart(v reflect.Value, said func(key string) bool) {
	switch s := v.Addr().Interface().(type) {
	case *radio.Loss, *radio.Delay:
		v.SetZero()
	case *workload.Sleep:
		if said("policy") {
			v.SetZero()
		}
	case *payload.Config:
		if said("format") && !said("size") {
			s.Size = 0
		}
	}
}

// complete adds what a section that was read leaves out.
func complete(v reflect.Value) {
	if l, ok := v.Addr().Interface().(*radio.Loss); ok && l.Bursts != (radio.GilbertElliott{}) && l.Bursts.Step == 0 {
		l.Bursts.Step = time.Second // that of the presets
	}
}

func (a *arrival) setWord(_ *reader, text string) (err error) {
	a.Over, err = parseDuration(text)
	return err
}

func (a *assignment) setWord(_ *reader, text string) error {
	a.Workload = text
	return nil
}

// setWord takes over one of the radios that groups have in common.
func (l *radioLink) setWord(r *reader, text string) error {
	var known []string
	for i := range r.file.Radios {
		shared := r.file.Radios[i]
		if shared.Name == text {
			shared.shared = text
			*l = shared
			return nil
		}
		known = append(known, shared.Name)
	}
	return errors.New(unknown("radio", text, known))
}

// A preset is hardware that is chosen by name before its fields are changed.
type preset interface{ choose() error }

func (p *part[T]) setWord(_ *reader, text string) error {
	p.Preset = text
	return p.choose()
}

func (p *part[T]) setDefaults(name string) {
	p.Preset = name
	if err := p.choose(); err != nil {
		panic(err) // names of this package
	}
}

// choose starts from the preset again.
func (p *part[T]) choose() error {
	var known []string
	for _, t := range presets[T]() {
		name := reflect.ValueOf(t).FieldByName("Name").String()
		if name == p.Preset {
			p.Of = t
			return nil
		}
		known = append(known, name)
	}
	return errors.New(unknown("preset", p.Preset, known))
}

// presets are all of a kind, new for each call.
func presets[T any]() []T {
	var all any
	switch any(*new(T)).(type) {
	case energy.Profile:
		all = energy.Profiles()
	case energy.Board:
		all = energy.Boards()
	case energy.Battery:
		all = energy.Batteries()
	}
	return all.([]T)
}

// changes lists what differs from the preset, as "tx 7".
func (p *part[T]) changes() []string {
	base := part[T]{Preset: p.Preset}
	if err := base.choose(); err != nil {
		return nil // it has been complained about
	}
	return differences("", reflect.ValueOf(&base.Of).Elem(), reflect.ValueOf(&p.Of).Elem())
}

func differences(key string, a, b reflect.Value) (ds []string) {
	for b.Kind() == reflect.Interface || b.Kind() == reflect.Pointer {
		a, b = a.Elem(), b.Elem()
	}
	if isSection(b) {
		for _, f := range fieldsOf(b.Type()) {
			ds = append(ds, differences(strict.Join(key, f.key), a.FieldByIndex(f.index), b.FieldByIndex(f.index))...)
		}
		return ds
	}
	if !a.Equal(b) {
		ds = append(ds, fmt.Sprintf("%s %v", key, b))
	}
	return ds
}

// made returns the part, and says of what was changed where that comes from.
func (p *part[T]) made(sources *[]energy.Source, name string) T {
	for _, c := range p.changes() {
		s := energy.Source{Parameter: c, From: p.Source}
		if s.From == "" {
			s.From, s.Assumed = "the scenario "+name, true
		}
		*sources = append(slices.Clip(*sources), s)
	}
	return p.Of
}

// An overlay is keys of a group, to be laid over it when its time comes.
type overlay struct {
	Name    string `yaml:"-"`
	entries []overlaid
}

type overlaid struct {
	key  string
	node *strict.Node
}

// A change is what can change of a group while a run goes on.
type change struct {
	Workload workload.Config `yaml:",inline"`
	Ills     workload.Ills
	Radio    radioLink
	Retry    retry
}

// add keeps a section for later, once it has been read for its mistakes.
func (o *overlay) add(r *reader, key string, n *strict.Node) {
	var scratch group
	scratch.setDefaults()
	if strings.HasPrefix(key, "workloads.") {
		r.value(key, n, reflect.ValueOf(&scratch.Workload).Elem(), "")
	} else {
		r.value(key, n, reflect.ValueOf(new(change)).Elem(), "")
	}
	o.entries = append(o.entries, overlaid{key, n})
}

// lay lays o over what v points to.
func (r *reader) lay(o *overlay, v any) {
	for _, e := range o.entries {
		r.value(e.key, e.node, reflect.ValueOf(v).Elem(), "")
	}
}

// changed returns g with o laid over it.
func (r *reader) changed(g group, o *overlay) group {
	c := change{g.Workload, g.Ills, g.Radio, g.Retry}
	r.lay(o, &c)
	g.Workload, g.Ills, g.Radio, g.Retry = c.Workload, c.Ills, c.Radio, c.Retry
	return g
}
