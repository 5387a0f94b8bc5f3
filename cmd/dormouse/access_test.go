package main

import (
	"testing"

	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
)

// TestSysReaders: $SYS is for some networks and users, everything else is for
// everyone.
func TestSysReaders(t *testing.T) {
	c, err := config.Load("", []string{"sys_topics.allow=[loopback, 10.1.0.0/16, 'fe80::/10']",
		"sys_topics.users=[ops]", "auth.providers=[{type: passwd, file: f}]"})
	if err != nil {
		t.Fatal(err)
	}
	r := auth.NewACL(policyOf(c))
	for _, tt := range []struct {
		remote, user string
		want         bool
	}{
		{"127.0.0.1:5", "", true},
		{"[::1]:5", "ann", true},
		{"[::ffff:127.0.0.1]:5", "", true},
		{"10.1.2.3:5", "", true},
		{"[fe80::1%eth0]:5", "", true},
		{"10.2.2.3:5", "", false},
		{"10.2.2.3:5", "ann", false},
		{"10.2.2.3:5", "ops", true},
		{"127.0.0.1:5/0a0b", "", false}, // a node behind a forwarder
		{"", "", false},
	} {
		who := core.Identity{ClientID: "ops", User: tt.user, Remote: tt.remote}
		for _, filter := range []string{"$SYS", "$SYS/#", "$SYS/broker/uptime", "$SYS/+/mqttsn/#"} {
			if got := r.Allows(who, core.Access{Do: core.ActSubscribe, Topic: filter}); got != tt.want {
				t.Errorf("%q at %q subscribes to %s: %v, want %v", tt.user, tt.remote, filter, got, tt.want)
			}
		}
		for _, filter := range []string{"#", "+/broker/uptime", "SYS/#", "$SYSTEM/a", "$"} {
			if !r.Allows(who, core.Access{Do: core.ActSubscribe, Topic: filter}) {
				t.Errorf("%q at %q may not subscribe to %q", tt.user, tt.remote, filter)
			}
		}
		if !r.Allows(who, core.Access{Do: core.ActPublish, Topic: "$SYS/a"}) {
			t.Error("what core refuses to everyone is refused here")
		}
	}
	c.SysTopics.Allow, c.SysTopics.Users = nil, nil
	if auth.NewACL(policyOf(c)).Allows(core.Identity{Remote: "127.0.0.1:5"}, core.Access{Do: core.ActSubscribe, Topic: "$SYS/#"}) {
		t.Error("with no readers there is one")
	}
}

// TestOtherTopicsAreFree: asking about other topics takes no memory.
func TestOtherTopicsAreFree(t *testing.T) {
	r := auth.NewACL(policyOf(config.Default()))
	who := core.Identity{ClientID: "c", Remote: "192.0.2.1:5"}
	if n := testing.AllocsPerRun(100, func() {
		r.Allows(who, core.Access{Do: core.ActPublish, Topic: "sensors/1"})
		r.Allows(who, core.Access{Do: core.ActSubscribe, Topic: "sensors/#"})
	}); n != 0 {
		t.Errorf("asking allocates %v times, want 0", n)
	}
}
