package sim

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/workload"
)

// TestValidate names the key of everything that is wrong with a group.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(g *Group)
		keys  []string
	}{
		{"nothing", func(g *Group) {}, nil},
		{"emcute cannot sleep", func(g *Group) {
			g.Firmware, g.Client = Emcute, client.Emcute()
			g.Workload.Sleep = workload.Sleep{Policy: workload.Sleeping, For: time.Minute}
		}, []string{"sleep.policy"}},
		{"emcute has no QoS 2", func(g *Group) {
			g.Firmware, g.Client = Emcute, client.Emcute()
			g.Workload.Reports.QoS = 2
		}, []string{"topics[0]"}},
		{"emcute has no predefined ids", func(g *Group) {
			g.Firmware, g.Client = Emcute, client.Emcute()
			g.Topics = append(g.Topics, Topic{Name: "x/y", Kind: Predefined, ID: 1})
		}, []string{"topics[1]"}},
		{"emcute has no QoS -1", func(g *Group) {
			g.Firmware, g.Client = Emcute, client.Emcute()
			g.Workload.Reports.QoS = mqttsn.QoSMinusOne
		}, []string{"topics[0]"}},
		{"Paho subscribes at QoS 1 at most", func(g *Group) {
			g.Firmware, g.Client = Paho, client.Paho()
			g.Workload.Commands = workload.Commands{Every: time.Hour, Topic: "cmd/%i", QoS: 2}
		}, []string{"commands.qos"}},
		{"Zephyr's names are short", func(g *Group) {
			g.Firmware, g.Client = Zephyr, client.Zephyr()
			g.Topics[0].Name = strings.Repeat("x", 65)
		}, []string{"topics[0].name"}},
		{"firmware", func(g *Group) { g.Firmware = "contiki" }, []string{"firmware"}},
		{"address", func(g *Group) { g.Address = "home" }, []string{"address"}},
		{"one client id for all", func(g *Group) { g.ClientID = "meter" }, []string{"client_id"}},
		{"a client id in itself", func(g *Group) { g.ClientID = "%c" }, []string{"client_id"}},
		{"an unknown place", func(g *Group) { g.Topics[0].Name = "dev/%x" }, []string{"topics[0].name"}},
		{"a wildcard", func(g *Group) { g.Topics[0].Name = "dev/+" }, []string{"topics[0].name"}},
		{"no topic", func(g *Group) { g.Topics = nil }, []string{"topics"}},
		{"too many topics", func(g *Group) { g.Topics = slices.Repeat(g.Topics, MaxTopics+1) }, []string{"topics"}},
		{"short names are of two octets", func(g *Group) { g.Topics[0] = Topic{Name: "abc", Kind: Short} }, []string{"topics[0].name"}},
		{"a predefined id is for one name", func(g *Group) { g.Topics[0] = Topic{Name: "a/%i", Kind: Predefined, ID: 1} }, []string{"topics[0].name"}},
		{"predefined ids", func(g *Group) { g.Topics[0] = Topic{Name: "a", Kind: Predefined} }, []string{"topics[0].id"}},
		{"numbered ids", func(g *Group) { g.Topics[0] = Topic{Name: "xy", Kind: Short, Numbered: true} }, []string{"topics[0].numbered"}},
		{"kind", func(g *Group) { g.Topics[0].Kind = "long" }, []string{"topics[0].kind"}},
		{"whose will", func(g *Group) { g.Session.Will = &Will{Topic: "gone", Payload: "x"} }, []string{"will.topic"}},
		{"keep alive", func(g *Group) { g.Session.KeepAlive = 1500 * time.Millisecond }, []string{"keepalive"}},
		{"commands without a topic", func(g *Group) { g.Workload.Commands.Every = time.Hour }, []string{"commands.topic"}},
		{"commands to all", func(g *Group) {
			g.Workload.Commands = workload.Commands{Every: time.Hour, Topic: "cmd"}
		}, []string{"commands.topic"}},
		{"a broadcast to each", func(g *Group) {
			g.Workload.Commands = workload.Commands{Every: time.Hour, Topic: "cmd/%i", Broadcast: true}
		}, []string{"commands.topic"}},
		{"what the workload says", func(g *Group) { g.Workload.Reports.Jitter = time.Hour }, []string{"reports.jitter"}},
		{"what the ills say", func(g *Group) { g.Ills.Crying = 2 }, []string{"ills.crying", "ills.crying_rate"}},
		{"what the client says", func(g *Group) { g.Client.RetryInterval = 0 }, []string{"retry"}},
		{"what the radio says", func(g *Group) { g.Radio.Up.Loss.Mean = 2 }, []string{"radio"}},
	} {
		g := sensors(3).Groups[0]
		tt.spoil(g)
		var keys []string
		for _, err := range g.Validate() {
			var k *KeyError
			if !errors.As(err, &k) || k.Group != "meters" {
				t.Errorf("%s: error %v (%T) has no key", tt.name, err, err)
				continue
			}
			keys = append(keys, k.Key)
		}
		slices.Sort(keys)
		if !slices.Equal(keys, tt.keys) {
			t.Errorf("%s: keys are %q; want %q: %v", tt.name, keys, tt.keys, g.Validate())
		}
	}
}

// TestNewRefuses has New find what Validate finds, and what only the plan shows.
func TestNewRefuses(t *testing.T) {
	p := sensors(3)
	p.Groups[0].Site = "roof"
	if _, err := New(p, start, 0, 1); err == nil || !strings.Contains(err.Error(), `site is "roof"`) {
		t.Errorf("an unknown site: %v", err)
	}
	p = sensors(3)
	p.Groups[0].ClientID = ""
	if f, err := New(p, start, 0, 1); err == nil || f != nil {
		t.Errorf("no client id: %v", err)
	}
	p = sensors(3)
	changed := *p.Groups[0]
	changed.Count = 4
	p.Events = []Event{{Kind: Set, Set: &Change{Group: &changed}}}
	if f, err := New(p, start, 0, 1); err == nil || f != nil {
		t.Errorf("a change of the count: %v", err)
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct{ s, of17, filter string }{
		{"plain", "plain", "plain"},
		{"dev/%i/temp", "dev/17/temp", "dev/+/temp"},
		{"%g/%c/x%i", "meters/meter-17/x17", "meters/+/+"},
		{"100%%/%g", "100%/meters", "100%/meters"},
		{"a%i/b%i1", "a17/b171", "+/+"},
	} {
		p, err := compile(tt.s, "meters", "meter-%i")
		if err != nil || p.of(17) != tt.of17 || p.filter() != tt.filter {
			t.Errorf("%s: %q, filter %q, %v; want %q and %q", tt.s, p.of(17), p.filter(), err, tt.of17, tt.filter)
			continue
		}
		if i, ok := p.device(p.of(17), 20); ok != p.own() || ok && i != 17 {
			t.Errorf("%s: %q is of device %d, %v; want 17", tt.s, p.of(17), i, ok)
		}
		for _, other := range []string{"", "dev/", "dev/x/temp", p.of(20), p.of(17) + "x", "a17/b181"} {
			if i, ok := p.device(other, 20); ok {
				t.Errorf("%s: %q is of device %d; want of none", tt.s, other, i)
			}
		}
	}
	for _, s := range []string{"%", "a%", "%d", "%c"} {
		if _, err := compile(s, "meters", ""); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}
