package config

import (
	"fmt"
	"net"
	"testing"
)

// TestAddressesMeet is right about what the system opens beside another, TCP
// as we open it.
func TestAddressesMeet(t *testing.T) {
	addresses := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]"}
	for _, first := range addresses {
		l, err := net.Listen("tcp", first+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		for _, second := range addresses {
			beside, failed := net.Listen("tcp", fmt.Sprintf("%s:%d", second, port))
			if failed == nil {
				beside.Close()
			}
			_, err := Load("", []string{"admin.enabled=false", fmt.Sprintf(
				"listeners=[{name: a, type: tcp, address: '%s:%d', security: insecure}, {name: b, type: tcp, address: '%s:%[2]d', security: insecure}]",
				first, port, second)})
			if (err == nil) != (failed == nil) {
				t.Errorf("%s beside %s: %v; but the system says %v", second, first, err, failed)
			}
		}
		l.Close()
	}
	for _, apart := range []string{
		"[{name: a, type: tcp, address: '127.0.0.1:1'}, {name: b, type: tcp, address: '127.0.0.1:2'}]",
		"[{name: a, type: tcp, address: '127.0.0.1:0'}, {name: b, type: tcp, address: '127.0.0.1:0'}]",
		"[{name: a, type: tcp, address: '127.0.0.1:1'}, {name: b, type: mqttsn-udp, address: '127.0.0.1:1'}]",
		"[{name: a, type: mqttsn-udp, address: '0.0.0.0:1', security: insecure}, {name: b, type: mqttsn-udp, address: '127.0.0.1:1'}]",
	} {
		if _, err := Load("", []string{"listeners=" + apart}); err != nil {
			t.Errorf("%s: %v", apart, err)
		}
	}
}
