package config

import (
	"fmt"
	"reflect"
	"strings"
)

// join appends a name to a key.
func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// fieldOf finds the field of struct t that is written as name.
func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// unknownKey says what name in the section key may have been meant for: a key
// of the section spelt nearly so, or one of that name elsewhere.
func unknownKey(t reflect.Type, key, name string) error {
	where := "at the top"
	if key != "" {
		where = "in " + key
	}
	var known []string
	nearest, best := "", 1+min(2, len(name)/2)
	for i := range t.NumField() {
		k := t.Field(i).Tag.Get("yaml")
		known = append(known, k)
		if d := distance(name, k); d < best {
			nearest, best = k, d
		}
	}
	if nearest != "" {
		return fmt.Errorf("there is no key %q %s; did you mean %q?", name, where, nearest)
	}
	if path := elsewhere(reflect.TypeFor[Config](), "", name); path != "" {
		return fmt.Errorf("there is no key %q %s; did you mean %s?", name, where, path)
	}
	return fmt.Errorf("there is no key %q %s; the keys there are %s", name, where, strings.Join(known, ", "))
}

// elsewhere returns the first key of that name in struct t, or nothing.
func elsewhere(t reflect.Type, key, name string) string {
	for i := range t.NumField() {
		f := t.Field(i)
		k := join(key, f.Tag.Get("yaml"))
		if f.Tag.Get("yaml") == name {
			return k
		}
		if f.Type.Kind() == reflect.Struct && !isScalar(reflect.New(f.Type).Elem()) {
			if found := elsewhere(f.Type, k, name); found != "" {
				return found
			}
		}
	}
	return ""
}

// distance is the number of letters to insert, delete or replace to turn a
// into b; beyond the length of a key nobody typed a key, and it is large.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
