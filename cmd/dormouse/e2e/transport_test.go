package e2e

import (
	"net/url"
	"testing"
)

// transports are the ways of programs' MQTT to the broker, and its URL by each.
var transports = map[string]func(b *broker) string{
	"tcp":        func(b *broker) string { return "mqtt://" + b.tcp.String() },
	"websockets": func(b *broker) string { return b.ws },
}

// portOf returns the port of a URL.
func portOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}
