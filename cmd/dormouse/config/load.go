package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"syscall"

	"dormouse/configs/strict"
)

// Load returns the defaults overlaid by the file, unless its name is empty,
// and then by sets, each "key=value" with a dotted key such as
// "mqttsn.retry.interval" or "listeners.sn.address". The error is
// [strict.Problems]: everything that is wrong.
func Load(file string, sets []string) (*Config, error) {
	c := Default()
	r := newReader()
	if file != "" {
		r.file(file, c)
	}
	for _, arg := range sets {
		r.set(arg, c)
	}
	r.ruleFile(c)
	r.validate(c)
	if len(r.problems) > 0 {
		return nil, r.problems.Tidy()
	}
	return c, nil
}

// Check is what Load says of a configuration that was made otherwise: everything
// that is wrong, or nil.
func (c *Config) Check() error {
	r := newReader()
	r.validate(c)
	if len(r.problems) > 0 {
		return r.problems.Tidy()
	}
	return nil
}

// A reader overlays settings upon a Config. It remembers where each came from
// and what was wrong.
type reader struct {
	at       map[string]strict.Place // by key, such as "listeners[0].address"
	bad      map[string]bool         // sections, by key, in which something was wrong
	problems strict.Problems
}

func newReader() *reader {
	return &reader{at: map[string]strict.Place{}, bad: map[string]bool{}}
}

func (r *reader) complain(at strict.Place, format string, args ...any) {
	r.problems = append(r.problems, at.Problem(format, args...))
}

// file overlays the YAML file of that name.
func (r *reader) file(name string, c *Config) {
	text, err := readFile(name)
	if err != nil {
		r.problems = append(r.problems, &strict.Problem{Source: strict.Printable(name), Message: err.Error()})
		return
	}
	d, problem := strict.Parse(name, text)
	if problem == nil && len(bytes.TrimSpace(text)) == 0 { // half written: nobody wants the defaults by that
		problem = &strict.Problem{Source: strict.Printable(name), Message: "the file is empty; write \"version: 1\" in it to have the defaults"}
	}
	r.document(d, problem, reflect.ValueOf(c).Elem(), "")
}

// readFile returns the file's octets, or an error that says what to do.
func readFile(name string) ([]byte, error) {
	text, err := strict.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file; give -c another, or none for the defaults")
	case errors.Is(err, syscall.EISDIR):
		return nil, errors.New("it is a directory; name the file in it")
	}
	return text, err
}

// document reads into v, whose key is key, what was parsed, or notes why it
// was not.
func (r *reader) document(d *strict.Document, problem *strict.Problem, v reflect.Value, key string) {
	switch {
	case problem != nil:
		r.problems = append(r.problems, problem)
	case d.Root == nil: // blank, or nothing but comments: nothing is set
	case key == "" && d.Root.Kind != strict.Section:
		r.complain(d.Root.At, "a configuration is made of keys, such as \"version: 1\"")
	default:
		r.value(key, d.Root, v, "")
	}
}

// set overlays one "key=value".
func (r *reader) set(arg string, c *Config) {
	name := "--set " + arg
	here := strict.Place{Source: &strict.Source{Name: name}}
	key, text, ok := strings.Cut(arg, "=")
	if !ok {
		r.complain(here, "there is no value; write --set key=value")
		return
	}
	v, tag, path := reflect.ValueOf(c).Elem(), reflect.StructTag(""), ""
	for part := range strings.SplitSeq(key, ".") {
		var err error
		if v, tag, path, err = descend(v, tag, path, part); err != nil {
			r.complain(here, "%v", err)
			return
		}
	}
	if isScalar(v) && !strings.HasPrefix(text, "'") && !strings.HasPrefix(text, `"`) { // [::1]:0 need not be quoted here
		r.scalar(path, here, text, v, tag)
		return
	}
	r.at[path] = here
	d, problem := strict.ParseArgument(name, text)
	r.document(d, problem, v, path)
}

// descend finds part, a key or a list's index or the name of one of its
// entries, in v.
func descend(v reflect.Value, tag reflect.StructTag, path, part string) (reflect.Value, reflect.StructTag, string, error) {
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			e := v.Index(i)
			named := e.Kind() == reflect.Struct && e.FieldByName("Name").IsValid() && e.FieldByName("Name").String() == part
			if named || part == fmt.Sprint(i) {
				return e, tag, fmt.Sprintf("%s[%d]", path, i), nil
			}
		}
		return v, tag, path, fmt.Errorf("%s has no entry %q; give its name or its number, counted from 0", path, part)
	case v.Kind() == reflect.Struct && !isScalar(v):
		if f, ok := fieldOf(v.Type(), part); ok {
			return v.FieldByIndex(f.Index), f.Tag, strict.Join(path, part), nil
		}
		return v, tag, path, unknownKey(v.Type(), path, part)
	}
	return v, tag, path, fmt.Errorf("%s is a single value and has no %q in it", path, part)
}
