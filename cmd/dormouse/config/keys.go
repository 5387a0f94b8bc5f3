package config

import (
	"reflect"

	"dormouse/configs/strict"
)

// fieldOf finds the field of struct t that is written as name.
func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); name != "" && f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// unknownKey says what name in the section key may have been meant for: a key
// of the section spelt nearly so, or one of that name elsewhere.
func unknownKey(t reflect.Type, key, name string) error {
	var known []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			known = append(known, name)
		}
	}
	return strict.UnknownKey(key, name, known, elsewhere(reflect.TypeFor[Config](), "", name))
}

// elsewhere returns the first key of that name in struct t, or nothing.
func elsewhere(t reflect.Type, key, name string) string {
	for i := range t.NumField() {
		f := t.Field(i)
		k := strict.Join(key, f.Tag.Get("yaml"))
		if name != "" && f.Tag.Get("yaml") == name {
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
