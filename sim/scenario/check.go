package scenario

import (
	"errors"
	"strings"

	"dormouse/configs/strict"
	"dormouse/sim"
	"dormouse/sim/radio"
)

// check complains of a group that cannot be, or cannot do what it is to do.
// keys are the sections of the file where what is in it was stated, the last
// being the group's own.
func (b *builder) check(m *sim.Group, g *group, keys ...string) {
	before := len(b.problems)
	missing := map[string]bool{}
	for _, err := range m.Validate() {
		var e *sim.KeyError
		if !errors.As(err, &e) || e.Key == "radio" || e.Key == "energy" {
			continue // asked below, key by key
		}
		key, at := b.found(e.Key, keys)
		if _, set := b.at[key]; !set && missing[key] {
			continue // said already: two packages may miss the same key
		}
		missing[key] = true
		b.complain(at, "%s %v", key, e.Err)
	}
	b.radio(m.Radio, g, keys)
	if m.Hardware != nil {
		b.blame(m.Hardware.Validate(), func(key string) (string, strict.Place) {
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

// radio complains of a radio that cannot be. A key that was set for both
// directions is complained of once, by that name.
func (b *builder) radio(c radio.Config, g *group, keys []string) {
	sections := b.under(keys, "radio")
	if g.Radio.shared != "" {
		sections = append(sections, "radios."+g.Radio.shared)
	}
	for _, err := range list(c.Validate()) {
		key, rest, _ := strings.Cut(err.Error(), " ")
		key = strings.TrimRight(key, ",:")
		both := strings.TrimPrefix(strings.TrimPrefix(key, "up."), "down.")
		name, at := b.deepest(sections, key, both)
		if both != key && strings.HasSuffix(name, both) && !strings.HasSuffix(name, key) {
			rest = strings.NewReplacer("up.", "", "down.", "").Replace(rest)
		}
		b.complain(at, "%s %s", name, rest)
	}
}

// deepest finds the key of which most is set, in any of the sections.
func (b *builder) deepest(sections []string, keys ...string) (name string, at strict.Place) {
	most := -1
	for _, section := range sections {
		for _, key := range keys {
			full := strict.Join(section, key)
			for set := full; len(set) >= len(section); set = set[:max(0, strings.LastIndexAny(set, ".["))] {
				if p, ok := b.at[set]; ok {
					if n := len(set) - len(section); n > most {
						most, name, at = n, full, p
					}
					break
				}
			}
		}
	}
	return name, at
}

// under puts key under each section.
func (b *builder) under(sections []string, key string) (ks []string) {
	for _, s := range sections {
		ks = append(ks, strict.Join(s, key))
	}
	return ks
}

// found is where a key of a group was set, under the first of the sections that
// has it, and what it is called there; in the last if none has.
func (b *builder) found(key string, sections []string) (string, strict.Place) {
	for _, k := range b.under(sections, key) {
		if at, ok := b.at[k]; ok {
			return k, at
		}
	}
	return strict.Join(sections[len(sections)-1], key), b.where(b.under(sections, key)...)
}
