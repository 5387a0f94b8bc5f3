package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestMetrics pins the names of the figures, which dashboards rely on.
func TestMetrics(t *testing.T) {
	w := newWorld(t, nil)
	var b strings.Builder
	Each([]*Gateway{w.g}, func(name, help, label string, _ uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q", name, help)
		}
		fmt.Fprintln(&b, strings.TrimSpace(name+" "+label))
	})
	fmt.Fprintln(&b)
	Sys([]*Gateway{w.g}, func(name, _ string) { fmt.Fprintln(&b, "$SYS/broker/"+name) })
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the figures are\n%s\nand testdata/metrics.txt says\n%s", b.String(), want)
	}
}

// TestPredefinedHits counts what clients publish by a predefined id, and what
// strangers may, but no id that stands for nothing, and nothing unheard.
func TestPredefinedHits(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Session.Predefined = map[uint16]string{1: "alarm"}
		c.QoSMinusOne.From = Loopback
	})
	publish := func(qos mqttsn.QoS, kind mqttsn.TopicKind, id uint16) *mqttsn.Publish {
		return &mqttsn.Publish{QoS: qos, ID: 7, Topic: mqttsn.Topic{Kind: kind, ID: id}}
	}
	s := w.at("10.0.0.1:7").connects("s", true, time.Minute)
	s.sends(publish(1, mqttsn.TopicPredefined, 1)).gets("PUBACK")
	s.sends(publish(1, mqttsn.TopicPredefined, 2)).gets("PUBACK")
	s.sends(publish(0, mqttsn.TopicShort, 1))
	w.wantCount("predefined_publishes_total", "", 1)
	w.at("10.0.0.2:7").sends(publish(1, mqttsn.TopicPredefined, 1)).gets("DISCONNECT")
	w.wantCount("predefined_publishes_total", "", 1)
	w.at("127.0.0.1:7").sends(publish(mqttsn.QoSMinusOne, mqttsn.TopicPredefined, 1)).gets("")
	w.wantCount("predefined_publishes_total", "", 2)
}

// TestSeveralGateways: the figures of all listeners are added up.
func TestSeveralGateways(t *testing.T) {
	a, b := newWorld(t, nil), newWorld(t, nil)
	a.at("10.0.0.1:7").connects("a", true, 0)
	b.at("10.0.0.1:7").connects("b", true, 0).sleeps(1e12)
	figures := make(map[string]string)
	Sys([]*Gateway{a.g, b.g}, func(name, value string) { figures[name] = value })
	for name, want := range map[string]string{
		"mqttsn/clients/connected": "2", "mqttsn/clients/active": "1", "mqttsn/clients/asleep": "1", "mqttsn/datagrams/received": "3",
	} {
		if figures[name] != want {
			t.Errorf("%s is %s, want %s", name, figures[name], want)
		}
	}
}
