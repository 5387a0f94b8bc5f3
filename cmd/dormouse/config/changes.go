package config

import (
	"reflect"
	"slices"

	"dormouse/configs/strict"
)

// Reloaded are the keys that a server that runs takes over from a configuration
// that it reads again, with all below them.
var Reloaded = []string{"auth.anonymous", "auth.providers", "auth.roles", "auth.client_id.pattern", "auth.lockout", "acl", "sys_topics.allow", "sys_topics.users"}

// Reload returns c with what may change while a server runs taken from next, and
// the keys in which next differs otherwise: those hold after a restart.
func (c *Config) Reload(next *Config) (now *Config, restart []string) {
	merged := *c
	merge(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(next).Elem(), "", &restart)
	return &merged, restart
}

func merge(to, from reflect.Value, key string, restart *[]string) {
	for i := range to.NumField() {
		a, b := to.Field(i), from.Field(i)
		k := strict.Join(key, to.Type().Field(i).Tag.Get("yaml"))
		switch {
		case slices.Contains(Reloaded, k):
			a.Set(b)
		case a.Kind() == reflect.Struct && !isScalar(a):
			merge(a, b, k, restart)
		case !reflect.DeepEqual(a.Interface(), b.Interface()):
			*restart = append(*restart, k)
		}
	}
}
