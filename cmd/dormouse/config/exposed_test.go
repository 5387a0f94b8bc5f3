package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestForThisMachine: without a configuration nothing is open beyond this
// machine, and with one no listener is that neither asks for passwords nor says
// "security: insecure".
func TestForThisMachine(t *testing.T) {
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Listeners {
		if !l.Address.Addr().IsLoopback() {
			t.Errorf("%s listens on %v", l.Name, l.Address)
		}
	}
	if !c.Admin.Listen.Addr().IsLoopback() {
		t.Errorf("operators look at %v", c.Admin.Listen)
	}
	for _, kind := range []string{"tcp", "ws", "mqttsn-udp"} {
		for address, open := range map[string]bool{":1": true, "0.0.0.0:1": true, "[::]:1": true, "10.0.0.1:1": true, "127.0.0.1:1": false, "[::1]:1": false, "127.9.9.9:1": false} {
			for security, said := range map[string]bool{"": false, ", security: insecure": true} {
				set := fmt.Sprintf("listeners=[{name: l, type: %s, address: %q%s}]", kind, address, security)
				_, err := Load("", []string{set})
				if refused := err != nil && strings.Contains(err.Error(), "beyond this machine"); refused != (open && !said) || !refused && err != nil {
					t.Errorf("%s: %v", set, err)
				}
			}
		}
	}
}
