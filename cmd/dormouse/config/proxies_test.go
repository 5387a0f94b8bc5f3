package config

import (
	"strings"
	"testing"
)

// TestProxies: what proxy_protocol needs, and which listeners have it.
func TestProxies(t *testing.T) {
	for with, want := range map[string]string{
		"type: tcp, proxy_protocol: {enabled: true, trusted: [loopback, 192.0.2.0/24]}":        "",
		"type: ws, proxy_protocol: {enabled: true, trusted: [private]}":                        "",
		"type: tcp, proxy_protocol: {enabled: false}":                                          "",
		"type: tcp, proxy_protocol: {enabled: true}":                                           "nobody could connect",
		"type: tcp, proxy_protocol: {enabled: true, trusted: []}":                              "nobody could connect",
		"type: tcp, proxy_protocol: {enabled: true, trusted: [any]}":                           "is everywhere",
		"type: tcp, proxy_protocol: {enabled: true, trusted: [\"::/0\"]}":                      "is everywhere",
		"type: tcp, proxy_protocol: {trusted: [loopback]}":                                     "of no use",
		"type: mqttsn-udp, proxy_protocol: {enabled: true, trusted: [loopback]}":               "is for tcp and tls and ws and wss",
		"type: tcp, proxy_protocol: {enabled: true, trusted: [haproxy]}":                       "is not a network",
		"type: tcp, proxy_protocol: {enabled: true, trusted: [loopback], version: 2}":          "version",
		"type: tcp, proxy_protocol: true":                                                      "must be a section",
		"type: mqttsn-dtls, dtls: {psk_file: x}, proxy_protocol: {enabled: true, trusted: []}": "is for tcp and tls and ws and wss",
	} {
		_, err := Load("", []string{"listeners=[{name: l, address: \"127.0.0.1:0\", " + with + "}]"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", with, err, want)
		}
	}
}
