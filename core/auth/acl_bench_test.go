package auth

import (
	"fmt"
	"net/netip"
	"testing"

	"dormouse/core"
)

// fleet is the rules of a plant: those of its sensors and of a thousand users, of
// which each has some of its own.
func fleet(t testing.TB) *ACL {
	lines := []string{
		"allow pub sensors/{clientid}/# role=sensor qos=1 unretained",
		"allow sub cmd/{clientid}/+ role=sensor",
		"deny all secret/# from=198.51.100.0/24",
	}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("allow all users/u%d/# user=u%d", i, i))
	}
	p := policy(t, append(lines, "allow sub status/#")...)
	p.Roles = []Role{{Name: "sensor", Listeners: []string{"sn"}}, {Name: "ops", Users: []string{"ops-*"}}}
	p.Rules = append(p.Rules, BuiltIn([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)...)
	return NewACL(p)
}

var requests = []struct {
	name string
	who  core.Identity
	a    core.Access
}{
	{"sensor publishes", core.Identity{ClientID: "s17", Edge: "mqttsn", Listener: "sn", Remote: "192.0.2.7:1884"},
		core.Access{Do: core.ActPublish, Topic: "sensors/s17/t", QoS: 1}},
	{"user publishes", core.Identity{ClientID: "c", User: "u999", Edge: "mqtt", Listener: "mqtt", Remote: "192.0.2.7:1884"},
		core.Access{Do: core.ActPublish, Topic: "users/u999/t", QoS: 1}},
	{"delivery", core.Identity{ClientID: "c", User: "u999", Edge: "mqtt", Listener: "mqtt", Remote: "[2001:db8::7]:1884"},
		core.Access{Do: core.ActSubscribe, Topic: "status/a", At: core.OnDelivery}},
}

// BenchmarkNoRules is what it costs those who have none.
func BenchmarkNoRules(b *testing.B) {
	l := NewACL(Policy{Allow: true, Rules: BuiltIn([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)})
	for b.Loop() {
		if !l.Allows(requests[0].who, requests[0].a) {
			b.Fatal("denied")
		}
	}
}

func BenchmarkACL(b *testing.B) {
	l := fleet(b)
	for _, r := range requests {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !l.Allows(r.who, r.a) {
					b.Fatal("denied")
				}
			}
		})
	}
}
