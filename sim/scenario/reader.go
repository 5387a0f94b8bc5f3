package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim"
	"dormouse/sim/radio"
)

// A reader lays documents over a file. It remembers where each key came from
// and what was wrong.
type reader struct {
	name     string // whose a problem without a place is
	file     *file
	at       map[string]strict.Place // by key, such as "groups.meters.reports.every"
	problems strict.Problems
	brief    bool // the run is shorter than short.below
}

// complain notes what is wrong at a place; a problem has no place where a
// default or the sum of many keys is to blame, and then it is the file's.
func (r *reader) complain(at strict.Place, format string, args ...any) {
	if at.Source == nil {
		at.Source = &strict.Source{Name: r.name}
	}
	r.problems = append(r.problems, at.Problem(format, args...))
}

// entry is the value of a key of the file in one of its documents.
type entry struct {
	node *strict.Node
	at   strict.Place // of the key
}

// read lays the documents over the file, key by key in the order of file's
// fields; of each key the documents in their order, with short after the
// document it stands in.
func (r *reader) read(docs ...*strict.Document) {
	values := map[string][]entry{}
	for _, d := range docs {
		if d.Root != nil {
			r.sections(d.Root, values)
		}
	}
	v := reflect.ValueOf(r.file).Elem()
	for _, f := range fieldsOf(v.Type()) {
		for _, e := range values[f.key] {
			if f.key == "short" {
				continue
			}
			r.at[f.key] = e.at
			r.value(f.key, e.node, v.FieldByIndex(f.index), f.tag)
		}
	}
}

// sections sorts a document's keys into values, and those of its short.
func (r *reader) sections(root *strict.Node, values map[string][]entry) {
	if root.Kind != strict.Section {
		r.complain(root.At, "a scenario is made of keys, such as \"groups:\"")
		return
	}
	var brief *strict.Node
	root.Keys("", r.complain, func(name string, at strict.Place, n *strict.Node) {
		if _, ok := fieldOf(reflect.TypeFor[file](), name); !ok {
			r.complain(at, "%v", unknownKey(reflect.TypeFor[file](), "", name))
			return
		}
		if name != "short" {
			values[name] = append(values[name], entry{n, at})
			return
		}
		r.at["short"] = at
		if n.Kind == strict.Section {
			brief = n
		} else {
			r.complain(at, "short is not a section; it has keys of its own, such as below")
		}
	})
	if brief != nil {
		r.short(brief, values)
	}
}

// always are the keys that no short run has otherwise.
var always = []string{"name", "about", "seed", "short"}

// short reads what is different in a short run.
func (r *reader) short(m *strict.Node, values map[string][]entry) {
	allowed := reflect.TypeFor[file]()
	m.Keys("short", r.complain, func(name string, at strict.Place, n *strict.Node) {
		switch _, ok := fieldOf(allowed, name); {
		case name == "below":
			r.at["short.below"] = at
			r.value("short.below", n, reflect.ValueOf(&r.file.Short.Below).Elem(), "")
		case slices.Contains(always, name):
			r.complain(at, "short.%s has no meaning: %s is the same in a short run", name, name)
		case !ok:
			r.complain(at, "%v", unknownKey(allowed, "short", name, always...))
		case r.brief:
			values[name] = append(values[name], entry{n, at})
		}
	})
	if _, ok := r.at["short.below"]; !ok {
		r.complain(r.at["short"], "short.below is not set; say how short a run it is for")
	}
}

// A shorthand is a section that may be written as one word.
type shorthand interface {
	setWord(r *reader, text string) error
}

// value reads node n into v, whose key and field tag are given. A scalar is
// read as it is written: YAML's idea of its type does not count, so that "no"
// is a fine name.
func (r *reader) value(key string, n *strict.Node, v reflect.Value, tag reflect.StructTag) {
	if o, ok := v.Addr().Interface().(*overlay); ok {
		o.add(r, key, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			setDefaults(v)
		}
		r.value(key, n, v.Elem(), tag)
		return
	case reflect.Interface: // a radio's link, which a preset has set
		r.value(key, n, v.Elem().Elem(), tag)
		return
	}
	switch n.Kind {
	case strict.Reference:
		r.complain(n.At, "anchors, aliases and tags are not supported; write the value out")
	case strict.Nothing:
		switch {
		case isSection(v) || isNamed(v): // nothing is set in it
		case v.Kind() == reflect.String && choicesOf[v.Type()] == nil:
			v.SetString("")
		default:
			r.complain(n.At, "%s has no value; give it one, or leave the line out", key)
		}
	case strict.Section:
		r.section(key, n, v)
	case strict.List:
		r.list(key, n, v, tag)
	case strict.Word:
		r.scalar(key, n, v, tag)
	}
}

func (r *reader) section(key string, n *strict.Node, v reflect.Value) {
	if isNamed(v) {
		r.named(key, n, v)
		return
	}
	if v.Kind() == reflect.Slice && n.At.InArgument() { // --with stages.rush.for=5s
		r.entries(key, n, v)
		return
	}
	if !isSection(v) {
		r.complain(n.At, "%s is a section; it must be %s", key, shape(v))
		return
	}
	values := map[string]entry{}
	n.Keys(key, r.complain, func(name string, at strict.Place, n *strict.Node) {
		if _, ok := fieldOf(v.Type(), name); !ok {
			r.complain(at, "%v", unknownKey(v.Type(), key, name))
			return
		}
		values[name] = entry{n, at}
	})
	restart(v, func(key string) bool { return values[key].node != nil })
	for _, f := range fieldsOf(v.Type()) {
		e, ok := values[f.key]
		if !ok {
			continue
		}
		k := strict.Join(key, f.key)
		r.at[k] = e.at
		for _, v := range r.targets(v, f) {
			r.value(k, e.node, v, f.tag)
		}
		if p, ok := v.Addr().Interface().(preset); ok && f.key == "preset" {
			if err := p.choose(); err != nil {
				r.complain(e.at, "%s: %v", k, err)
			}
		}
	}
	complete(v)
}

// targets returns what a key sets: of a radio's both directions each.
func (r *reader) targets(v reflect.Value, f field) []reflect.Value {
	if l, ok := v.Addr().Interface().(*radioLink); ok && len(f.index) == 2 {
		return []reflect.Value{
			reflect.ValueOf(&l.Up).Elem().FieldByIndex(f.index[1:]),
			reflect.ValueOf(&l.Down).Elem().FieldByIndex(f.index[1:]),
		}
	}
	return []reflect.Value{v.FieldByIndex(f.index)}
}

// named reads a section whose keys are names, given by the user, of what is
// alike. A name that is there already is overlaid.
func (r *reader) named(key string, n *strict.Node, v reflect.Value) {
	n.Keys(key, r.complain, func(name string, at strict.Place, n *strict.Node) {
		k := strict.Join(key, name)
		r.at[k] = at
		if name == "" || strings.ContainsAny(name, ". /#+%") {
			r.complain(at, "%q in %s cannot be a name: it is empty, or has a blank or one of . / # + %% in it", name, key)
			return
		}
		i := 0
		for i < v.Len() && v.Index(i).FieldByName("Name").String() != name {
			i++
		}
		if i == v.Len() {
			if at.InArgument() { // --with, where a new name is one misspelt
				r.complain(at, "%s", unknown(strings.TrimSuffix(key, "s"), name, namesOf(v)))
				return
			}
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			v.Index(i).FieldByName("Name").SetString(name)
			setDefaults(v.Index(i).Addr())
		}
		r.value(k, n, v.Index(i), "")
	})
}

// entries overlays entries of a list by their names or numbers.
func (r *reader) entries(key string, n *strict.Node, v reflect.Value) {
	at := n.At
	n.Keys(key, r.complain, func(name string, _ strict.Place, n *strict.Node) {
		var known []string
		for i := range v.Len() {
			e := v.Index(i)
			id := fmt.Sprint(i)
			if e.Kind() == reflect.Struct && e.FieldByName("Name").IsValid() && e.FieldByName("Name").String() != "" {
				known = append(known, e.FieldByName("Name").String())
			} else {
				known = append(known, id)
			}
			if name == id || name == known[i] {
				r.value(fmt.Sprintf("%s[%d]", key, i), n, e, "")
				return
			}
		}
		r.complain(at, "%s has no entry %q; there is %s", key, name, strict.OneOf(known))
	})
}

func (r *reader) list(key string, n *strict.Node, v reflect.Value, tag reflect.StructTag) {
	if v.Kind() != reflect.Slice || isNamed(v) {
		r.complain(n.At, "%s is a list; it must be %s", key, shape(v))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		setDefaults(items.Index(i).Addr())
		k := fmt.Sprintf("%s[%d]", key, i)
		r.at[k] = item.At
		r.value(k, item, items.Index(i), tag)
	}
	v.Set(items)
}

// scalar reads a word into v and holds it to the bounds in tag.
func (r *reader) scalar(key string, n *strict.Node, v reflect.Value, tag reflect.StructTag) {
	err := r.word(n.Word, v, tag.Get("unit"))
	if err != nil {
		r.complain(n.At, "%s: %v", key, err)
		return
	}
	if low, high, ok := bounds(tag, v); ok && !(low <= number(v) && number(v) <= high) {
		r.complain(n.At, "%s is %s; it must be %s to %s", key, n.Word, tag.Get("min"), tag.Get("max"))
	}
}

// word reads one word into v.
func (r *reader) word(text string, v reflect.Value, unit string) error {
	switch p := v.Addr().Interface().(type) {
	case shorthand:
		return p.setWord(r, text)
	case *radio.Loss:
		return setLoss(p, text)
	case *radio.Delay:
		return setDelay(p, text)
	case *sim.Topic:
		p.Name = text
		return nil
	}
	if isSection(v) || v.Kind() == reflect.Slice {
		return fmt.Errorf("%q is a single value; it must be %s", text, shape(v))
	}
	if text == "" && v.Kind() != reflect.String {
		return errors.New("there is no value; give it one, or leave it out")
	}
	return setScalar(text, v, unit)
}

// bounds returns the least and the greatest value that tag allows.
func bounds(tag reflect.StructTag, v reflect.Value) (low, high float64, ok bool) {
	least, ok := tag.Lookup("min")
	if !ok || v.Kind() == reflect.Slice {
		return 0, 0, false
	}
	bound := func(text string) float64 {
		b := reflect.New(v.Type()).Elem()
		if err := setScalar(strings.TrimPrefix(text, "-"), b, ""); err != nil {
			panic(err) // a tag of this package; every one is used by a test
		}
		if strings.HasPrefix(text, "-") {
			return -number(b)
		}
		return number(b)
	}
	return bound(least), bound(tag.Get("max")), true
}

func setDefaults(p reflect.Value) {
	if d, ok := p.Interface().(interface{ setDefaults() }); ok {
		d.setDefaults()
	}
}

// isSection reports whether v has keys of its own.
func isSection(v reflect.Value) bool { return v.Kind() == reflect.Struct }

// isNamed reports whether v is a section whose keys are names.
func isNamed(v reflect.Value) bool {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct {
		return false
	}
	f, ok := v.Type().Elem().FieldByName("Name")
	return ok && f.Tag.Get("yaml") == "-"
}

// shape says in words what v is written as.
func shape(v reflect.Value) string {
	switch {
	case isNamed(v):
		return "a section of names"
	case v.Kind() == reflect.Slice:
		return "a list"
	case isSection(v):
		return "a section with keys of its own"
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a duration, such as 10s"
	}
	return "a single value"
}
