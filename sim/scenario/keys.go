package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"dormouse/configs/strict"
)

// A field is a key of a section.
type field struct {
	key   string
	index []int
	tag   reflect.StructTag
	owner reflect.Type // the struct that declares it, for its comment
	name  string       // there
}

// What tags would say of fields of other packages: those that a file calls
// otherwise, those whose keys stand among the others, those without a key, and
// the units of figures.
var (
	otherwise = map[string]string{
		"GilbertElliott.LossBad":  "1-h",
		"GilbertElliott.LossGood": "1-k",
		"group.KeepAlive":         "keepalive",
	}
	inlined = map[string]bool{"Loss.Bursts": true}
	hidden  = map[string]bool{
		"Profile.Name": true, "Profile.Sources": true,
		"Board.Name": true, "Board.Sources": true,
		"Battery.Name": true, "Battery.Sources": true,
	}
	units = map[string]string{
		"Profile.Tx": "mA", "Profile.Rx": "mA", "Profile.Wait": "mA", "Profile.Sleep": "µA", "Profile.Upkeep": "µA",
		"Phase.Current": "mA",
		"Board.Sleep":   "µA", "Board.Waking": "mA", "Board.CPU": "mA",
		"Battery.Capacity": "mAh", "Battery.Pulse": "mA",
		"BLE.Event": "µC", "NBIoT.Rate": "bit/s",
		"Link.Rate":  "octets/s",
		"Ills.Drift": "ppm",
	}
)

// fieldsOf lists the keys of struct t in the order of its fields. The key is
// the field's name in small letters; a field tagged yaml:"-" has none, and one
// tagged ",inline" has its own keys among the others.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		f := t.Field(i)
		id := t.Name() + "." + f.Name
		switch {
		case f.Tag.Get("yaml") == "-" || hidden[id] || !f.IsExported():
			continue
		case f.Tag.Get("yaml") == ",inline" || inlined[id]:
			for _, in := range fieldsOf(f.Type) {
				in.index = append([]int{i}, in.index...)
				fs = append(fs, in)
			}
			continue
		}
		key := otherwise[id]
		if key == "" {
			key = snake(f.Name)
		}
		tag := f.Tag
		if u := units[id]; u != "" {
			tag += reflect.StructTag(` unit:"` + u + `"`)
		}
		fs = append(fs, field{key: key, index: []int{i}, tag: tag, owner: t, name: f.Name})
	}
	return fs
}

// snake writes a Go name as a key: MaxPayload is max_payload, QoS is qos.
func snake(name string) string {
	if name == "QoS" {
		return "qos"
	}
	rs := []rune(name)
	var b strings.Builder
	for i, r := range rs {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// fieldOf finds the field of struct t that is written as key.
func fieldOf(t reflect.Type, key string) (field, bool) {
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

// unknownKey says what name in the section key may have been meant for: a key
// of the section spelt nearly so, or one of that name in a section of it.
// Keys of t in except are not there.
func unknownKey(t reflect.Type, key, name string, except ...string) error {
	var known []string
	for _, f := range fieldsOf(t) {
		if !slices.Contains(except, f.key) {
			known = append(known, f.key)
		}
	}
	return strict.UnknownKey(key, name, known, elsewhere(t, "", name))
}

// elsewhere returns the first key of that name in the sections of struct t, or
// nothing.
func elsewhere(t reflect.Type, key, name string) string {
	for _, f := range fieldsOf(t) {
		k := strict.Join(key, f.key)
		if key != "" && f.key == name {
			return k
		}
		if ft := t.FieldByIndex(f.index).Type; ft.Kind() == reflect.Struct {
			if found := elsewhere(ft, k, name); found != "" {
				return found
			}
		}
	}
	return ""
}

// namesOf are the names of what is in v.
func namesOf(v reflect.Value) (all []string) {
	for i := range v.Len() {
		all = append(all, v.Index(i).FieldByName("Name").String())
	}
	return all
}

// unknown says that there is no such thing, and what there is. Things are
// "radios", "groups", and what is one of them.
func unknown(what, name string, known []string) string {
	switch near := strict.Nearest(name, known); {
	case near != "":
		return fmt.Sprintf("there is no %s %q; did you mean %q?", what, name, near)
	case len(known) == 0:
		return fmt.Sprintf("there is no %s %q, and no other; say what it is under %ss", what, name, what)
	}
	return fmt.Sprintf("there is no %s %q; there is %s", what, name, strict.OneOf(known))
}
