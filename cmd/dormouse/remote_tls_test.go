package main

import "testing"

// TestServerURL: a port that is not given is the protocol's own.
func TestServerURL(t *testing.T) {
	for want, w := range map[string]whom{
		"mqtt://127.0.0.1:1883":       {Host: "127.0.0.1"},
		"mqtt://[::1]:1884":           {Host: "::1", Port: 1884},
		"mqtts://example.org:8883":    {Host: "example.org", trust: trust{Insecure: true}},
		"mqtts://example.org:1883":    {Host: "example.org", Port: 1883, trust: trust{CAFile: "f"}},
		"mqtt://example.org:1883":     {trust: trust{URL: "mqtt://example.org"}},
		"mqtts://[::1]:8883":          {trust: trust{URL: "mqtts://[::1]"}},
		"ws://example.org:8083/mqtt":  {trust: trust{URL: "ws://example.org/mqtt"}},
		"wss://example.org:8084":      {trust: trust{URL: "wss://example.org"}},
		"wss://example.org:443/a?b=c": {trust: trust{URL: "wss://example.org:443/a?b=c"}},
	} {
		if got := w.server().String(); got != want {
			t.Errorf("server() = %s, want %s", got, want)
		}
	}
}
