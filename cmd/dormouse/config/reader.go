package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"dormouse/configs/strict"
)

// value reads node n into v, whose key and field tag are given. A scalar is
// read as it is written: YAML's idea of its type does not count, so that "no"
// is a fine name and 1e3 is no port.
func (r *reader) value(key string, n *strict.Node, v reflect.Value, tag reflect.StructTag) {
	switch n.Kind {
	case strict.Reference:
		r.complain(n.At, "anchors, aliases and tags are not supported; write the value out")
	case strict.Nothing:
		r.null(key, n.At, v, tag)
	case strict.Section:
		r.section(key, n, v)
	case strict.List:
		r.list(key, n, v, tag)
	case strict.Word:
		r.scalar(key, n.At, n.Word, v, tag)
	}
}

// null reads a key without a value: an empty section sets nothing.
func (r *reader) null(key string, at strict.Place, v reflect.Value, tag reflect.StructTag) {
	switch {
	case v.Kind() == reflect.String:
		r.scalar(key, at, "", v, tag)
	case v.Kind() != reflect.Struct || isScalar(v):
		r.complain(at, "%s has no value; give it one, or leave the line out", key)
	}
}

func (r *reader) section(key string, n *strict.Node, v reflect.Value) {
	if v.Kind() != reflect.Struct || isScalar(v) {
		r.complain(n.At, "%s is a section; it must be %s", key, shape(v))
		return
	}
	n.Keys(key, r.complain, func(name string, at strict.Place, n *strict.Node) {
		f, ok := fieldOf(v.Type(), name)
		if !ok {
			r.bad[key] = true
			r.complain(at, "%v", unknownKey(v.Type(), key, name))
			return
		}
		r.at[strict.Join(key, name)] = at
		before := len(r.problems)
		r.value(strict.Join(key, name), n, v.FieldByIndex(f.Index), f.Tag)
		if len(r.problems) > before {
			r.bad[key] = true
		}
	})
}

func (r *reader) list(key string, n *strict.Node, v reflect.Value, tag reflect.StructTag) {
	if v.Kind() != reflect.Slice {
		r.complain(n.At, "%s is a list; it must be %s", key, shape(v))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		e := items.Index(i)
		if d, ok := e.Addr().Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		k := fmt.Sprintf("%s[%d]", key, i)
		r.at[k] = item.At
		r.value(k, item, e, tag)
	}
	v.Set(items)
}

// scalar reads text into v and holds it to the bounds in tag.
func (r *reader) scalar(key string, at strict.Place, text string, v reflect.Value, tag reflect.StructTag) {
	if !isScalar(v) {
		r.complain(at, "%s is %q; it must be %s", key, text, shape(v))
		return
	}
	r.at[key] = at
	if err := parseScalar(text, v); err != nil {
		r.complain(at, "%s: %v", key, err)
		return
	}
	if allowed, ok := tag.Lookup("oneof"); ok && !slices.Contains(strings.Split(allowed, ","), text) {
		r.complain(at, "%s is %q; it must be %s", key, text, choices(allowed))
	}
	if low, high, ok := bounds(tag, v.Type()); ok {
		if x := number(v); !(number(low) <= x && x <= number(high)) {
			reach := fmt.Sprintf("%v to %v", low, high)
			if low.Equal(high) {
				reach = fmt.Sprint(low)
			}
			r.complain(at, "%s is %v; it must be %s", key, v, reach)
		}
	}
}

// parseScalar reads text into v. Its error says what was expected.
func parseScalar(text string, v reflect.Value) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text == "" {
			return errors.New("there is no value; give it one, or leave it out")
		}
		err := u.UnmarshalText([]byte(text))
		if err != nil && v.Type().PkgPath() == "net/netip" {
			what := map[string]string{"Addr": "an IP address", "AddrPort": "an IP address and port"}
			return fmt.Errorf("%q is not %s", text, what[v.Type().Name()])
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 0)
		if err != nil {
			return fmt.Errorf("%q is not a whole number in reach", text)
		}
		v.SetInt(n)
	}
	return nil
}

// bounds returns the least and the greatest value that tag allows.
func bounds(tag reflect.StructTag, t reflect.Type) (low, high reflect.Value, ok bool) {
	least, ok := tag.Lookup("min")
	if !ok {
		return low, high, false
	}
	low, high = reflect.New(t).Elem(), reflect.New(t).Elem()
	if err := errors.Join(parseScalar(least, low), parseScalar(tag.Get("max"), high)); err != nil {
		panic(err) // a tag of this package; every one is used by a test
	}
	return low, high, true
}

func number(v reflect.Value) float64 {
	if v.CanInt() {
		return float64(v.Int())
	}
	return v.Float()
}

// isScalar reports whether v is written as one word.
func isScalar(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	return v.Kind() != reflect.Struct && v.Kind() != reflect.Slice
}

// shape says in words what v is written as.
func shape(v reflect.Value) string {
	switch {
	case isScalar(v):
		return "a single value"
	case v.Kind() == reflect.Slice:
		return "a list"
	}
	return "a section with keys of its own"
}

// choices writes a "oneof" tag in words.
func choices(allowed string) string {
	words := strings.Split(allowed, ",")
	for i, w := range words {
		if w == "" {
			words[i] = "empty"
		}
	}
	return strict.OneOf(words)
}
