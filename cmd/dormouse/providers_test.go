package main

import (
	"reflect"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/core/auth"
)

// TestProvidersAreWired: providers of type http are asked where they are in the
// list, and each of their settings counts.
func TestProvidersAreWired(t *testing.T) {
	const url = "https://id.example/mqtt"
	plain := auth.Hook{URL: url, Timeout: 2 * time.Second, Cache: time.Minute}
	with := func(change func(*auth.Hook)) auth.Hook {
		h := plain
		change(&h)
		return h
	}
	for providers, want := range map[string]auth.Hook{
		"{type: http, url: " + url + "}":                                  plain,
		"{type: http, url: " + url + ", timeout: 5s}":                     with(func(h *auth.Hook) { h.Timeout = 5 * time.Second }),
		"{type: http, url: " + url + ", cache: 0s}":                       with(func(h *auth.Hook) { h.Cache = 0 }),
		"{type: http, url: " + url + ", on_error: next}":                  with(func(h *auth.Hook) { h.Next = true }),
		"{type: http, url: " + url + ", ca_file: ca.pem}":                 with(func(h *auth.Hook) { h.CAFile = "ca.pem" }),
		"{type: passwd, file: f}, {type: http, url: " + url + "}":         with(func(h *auth.Hook) { h.After = 1 }),
		"{type: http, url: " + url + "}, {type: passwd, file: f}":         plain,
		"{type: http, url: " + url + ", on_error: deny, timeout: 2000ms}": plain,
	} {
		c, err := config.Load("", []string{"auth.providers=[" + providers + "]"})
		if err != nil {
			t.Fatal(err)
		}
		if got := authOptions(c).Hooks; !reflect.DeepEqual(got, []auth.Hook{want}) {
			t.Errorf("%s becomes %+v, want %+v", providers, got, want)
		}
	}
}
