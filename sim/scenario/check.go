package scenario

import (
	"errors"
	"strings"

	"dormouse/sim"
)

// check complains of a group that cannot be, or cannot do what it is to do.
// keys are the sections of the file where what is in it was stated, the last
// being the group's own.
func (b *builder) check(m *sim.Group, g *group, keys ...string) {
	before := len(b.problems)
	for _, err := range m.Validate() {
		var e *sim.KeyError
		if !errors.As(err, &e) || e.Key == "radio" || e.Key == "energy" {
			continue // asked below, key by key
		}
		key, at := b.found(e.Key, keys)
		b.complain(at, "%s %v", key, e.Err)
	}
	radio := b.under(keys, "radio")
	if g.Radio.shared != "" {
		radio = append(radio, "radios."+g.Radio.shared)
	}
	b.blame(m.Radio.Validate(), func(key string) (string, place) {
		both := strings.TrimPrefix(strings.TrimPrefix(key, "up."), "down.")
		var ks []string
		for _, k := range []string{key, both} {
			ks = append(ks, b.under(radio, k)...)
		}
		for _, k := range ks {
			if at, ok := b.at[k]; ok {
				return k, at
			}
		}
		return ks[0], b.where(ks...)
	})
	if m.Hardware != nil {
		b.blame(m.Hardware.Validate(), func(key string) (string, place) {
			if key == "celsius" {
				key = "temperature"
			}
			return b.found("energy."+key, keys)
		})
	}
	if len(b.problems) == before {
		b.feasible(m, keys)
	}
}

// under puts key under each section.
func (b *builder) under(sections []string, key string) (ks []string) {
	for _, s := range sections {
		ks = append(ks, join(s, key))
	}
	return ks
}

// found is where a key of a group was set, under the first of the sections that
// has it, and what it is called there; in the last if none has.
func (b *builder) found(key string, sections []string) (string, place) {
	for _, k := range b.under(sections, key) {
		if at, ok := b.at[k]; ok {
			return k, at
		}
	}
	return join(sections[len(sections)-1], key), b.where(b.under(sections, key)...)
}
