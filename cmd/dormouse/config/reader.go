package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// value reads node n into v, whose key and field tag are given. A scalar is
// read as it is written: YAML's idea of its type does not count, so that "no"
// is a fine name and 1e3 is no port.
func (r *reader) value(key string, n ast.Node, v reflect.Value, tag reflect.StructTag) {
	at := r.placeOf(n)
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		r.complain(at, "anchors, aliases and tags are not supported; write the value out")
	case *ast.NullNode:
		r.null(key, at, v, tag)
	case ast.MapNode:
		r.mapping(key, at, n, v)
	case *ast.SequenceNode:
		r.sequence(key, at, n, v, tag)
	case *ast.LiteralNode:
		r.scalar(key, at, n.Value.Value, v, tag)
	default:
		r.scalar(key, at, n.GetToken().Value, v, tag)
	}
}

// null reads a key without a value: an empty section sets nothing.
func (r *reader) null(key string, at place, v reflect.Value, tag reflect.StructTag) {
	switch {
	case v.Kind() == reflect.String:
		r.scalar(key, at, "", v, tag)
	case v.Kind() != reflect.Struct || isScalar(v):
		r.complain(at, "%s has no value; give it one, or leave the line out", key)
	}
}

func (r *reader) mapping(key string, at place, n ast.MapNode, v reflect.Value) {
	if v.Kind() != reflect.Struct || isScalar(v) {
		r.complain(at, "%s is a section; it must be %s", key, shape(v))
		return
	}
	first := map[string]int{}
	for it := n.MapRange(); it.Next(); {
		name, at := it.Key().GetToken().Value, r.placeOf(it.Key())
		if line, ok := first[name]; ok {
			r.complain(at, "%s is set twice, first in line %d; keep one", join(key, name), line)
			continue
		}
		first[name] = at.line
		f, ok := fieldOf(v.Type(), name)
		if !ok {
			r.bad[key] = true
			r.complain(at, "%v", unknownKey(v.Type(), key, name))
			continue
		}
		r.at[join(key, name)] = at
		before := len(r.problems)
		r.value(join(key, name), it.Value(), v.FieldByIndex(f.Index), f.Tag)
		if len(r.problems) > before {
			r.bad[key] = true
		}
	}
}

func (r *reader) sequence(key string, at place, n *ast.SequenceNode, v reflect.Value, tag reflect.StructTag) {
	if v.Kind() != reflect.Slice {
		r.complain(at, "%s is a list; it must be %s", key, shape(v))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Values), len(n.Values))
	for i, item := range n.Values {
		e := list.Index(i)
		if d, ok := e.Addr().Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		k := fmt.Sprintf("%s[%d]", key, i)
		r.at[k] = r.placeOf(item)
		r.value(k, item, e, tag)
	}
	v.Set(list)
}

// scalar reads text into v and holds it to the bounds in tag.
func (r *reader) scalar(key string, at place, text string, v reflect.Value, tag reflect.StructTag) {
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
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// placeOf returns where n is written. A block's own token is the colon or the
// dash in it, so the place of its first entry is the better one.
func (r *reader) placeOf(n ast.Node) place {
	switch b := n.(type) {
	case *ast.MappingNode:
		if !b.IsFlowStyle && len(b.Values) > 0 {
			return r.placeOf(b.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return r.placeOf(b.Key)
	}
	p := n.GetToken().Position
	return place{src: r.src, line: p.Line, column: max(p.Column, 1)}
}
