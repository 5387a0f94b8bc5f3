package mqtt

import (
	"strings"
	"testing"
	"time"
)

// TestValidate: the defaults are valid, and all that is wrong is said at once.
func TestValidate(t *testing.T) {
	o := DefaultOptions()
	if err := o.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	o.MaxPacketSize, o.ReceiveMaximum, o.MaxKeepalive = 1, 65536, 43691*time.Second
	err := o.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"limits.max_packet_size is 1;", "limits.receive_maximum is 65536;", "mqtt.max_keepalive is 12h8m11s;"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%q is not in: %v", key, err)
		}
	}
	if n := strings.Count(err.Error(), "must be"); n != 3 {
		t.Errorf("%d complaints, want 3: %v", n, err)
	}
}
