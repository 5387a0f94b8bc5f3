package gateway

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestValidate names everything that is wrong.
func TestValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	bad := DefaultConfig()
	bad.Shards, bad.GatewayID, bad.Search.Rate, bad.MaxSessions = 0, 0, 0, 0
	bad.Advertise = Advertise{Interval: 1500 * time.Millisecond, Addresses: []netip.AddrPort{{}}}
	bad.Session.MaxRetries = -1
	err := bad.Validate()
	for _, key := range []string{"shards", "gateway_id", "search.rate", "max_sessions", "interval", "addresses", "retry.max"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not mention %s", err, key)
		}
	}
}
