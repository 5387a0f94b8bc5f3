package core

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMetrics pins the names of the figures, which dashboards rely on.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	Each(w.Broker, func(name, help, label string, _ uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q", name, help)
		}
		fmt.Fprintln(&b, strings.TrimSpace(name+" "+label))
	})
	fmt.Fprintln(&b)
	w.Tick(time.Unix(0, w.now.Load()))
	var topics []string
	ms, _ := w.Retained("$SYS/#")
	for m := range ms {
		topics = append(topics, m.Topic)
	}
	slices.Sort(topics)
	b.WriteString(strings.Join(topics, "\n") + "\n")
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the figures are\n%s\nand testdata/metrics.txt says\n%s", b.String(), want)
	}
}

// TestMetricsTell what there is.
func TestMetricsTell(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages, o.MaxSessions, o.MaxInflight = 2, 2, 1 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	(&person{w: w, id: "eve"}).opensAgain(SessionOptions{})
	for _, m := range []string{"!a=1", "b=2", "c=3", "d=4"} {
		bob.says(1, m)
		if m == "!a=1" {
			ann.Next()
		}
	}
	w.SetPressure(Soft)
	bob.says(0, "e=5")
	got := map[string]uint64{}
	Each(w.Broker, func(name, _, label string, value uint64) { got[name+"{"+label+"}"] = value })
	for name, want := range map[string]uint64{
		`dormouse_sessions{}`:                                     2,
		`dormouse_sessions_opened_total{}`:                        3,
		`dormouse_sessions_refused_total{reason="limit"}`:         1,
		`dormouse_retained_messages{}`:                            1,
		`dormouse_messages_waiting{}`:                             2,
		`dormouse_messages_waiting_bytes{}`:                       4,
		`dormouse_messages_inflight{}`:                            1,
		`dormouse_messages_received_total{}`:                      4,
		`dormouse_messages_dropped_total{reason="queue_full"}`:    1,
		`dormouse_messages_dropped_total{reason="memory_soft"}`:   1,
		`dormouse_messages_dropped_total{reason="retained_full"}`: 0,
		`dormouse_memory_pressure{level="soft"}`:                  1,
		`dormouse_memory_pressure{level="none"}`:                  0,
	} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
}

// TestRefusedSubscriptions: each cause has a figure of its own.
func TestRefusedSubscriptions(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.MaxSubscriptions, o.Topics.Levels = 2, 3
		o.Authorize = func(_ Identity, a Access) bool { return a.Topic != "secret" }
	})
	ann := w.comes("ann").subscribes("a", "b")
	for _, filter := range []string{"c", "a/#/b", "a/b/c/d", "$share/g", "secret", "$share/g/secret", "d", "e", "a"} {
		ann.subscribe1(Subscription{Filter: filter})
	}
	if got, want := w.Stats().Denied, (Denials{Quota: 3, Invalid: 3, Unauthorized: 2}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	got := map[string]uint64{}
	Each(w.Broker, func(name, _, label string, value uint64) { got[name+" "+label] = value })
	for label, want := range map[string]uint64{"limit": 3, "invalid_filter": 3, "not_authorized": 2} {
		if n := got[`dormouse_subscriptions_refused_total reason="`+label+`"`]; n != want {
			t.Errorf("%s is %d, want %d", label, n, want)
		}
	}
}

// TestLoads: so many a minute, averaged over one, five and fifteen minutes as
// Mosquitto does it.
func TestLoads(t *testing.T) {
	w := newWorld(t)
	var octets uint64
	w.AddLoad("bytes/received", func() uint64 { return octets })
	w.Tick(time.Unix(0, w.now.Load()))
	ann := w.comes("ann").subscribes("$SYS/broker/load/bytes/+/+:0")
	var got map[string]string
	waits := func(d time.Duration, each uint64) {
		for range d / (10 * time.Second) {
			octets += each
			w.waits(10 * time.Second)
		}
		got = map[string]string{}
		ms, _ := w.Retained("$SYS/broker/load/#")
		for m := range ms {
			got[strings.TrimPrefix(m.Topic, "$SYS/broker/load/")] = string(m.Payload)
		}
	}
	expect := func(want ...string) {
		t.Helper()
		for i, span := range []string{"1min", "5min", "15min"} {
			if got := got["bytes/received/"+span]; got != want[i] {
				t.Errorf("over %s: %s, want %s", span, got, want[i])
			}
		}
	}
	waits(time.Minute, 10) // 60 a minute: 60(1-1/e), 60(1-exp(-1/5)), 60(1-exp(-1/15))
	expect("37.93", "10.88", "3.87")
	waits(5*time.Hour, 10)
	expect("60.00", "60.00", "60.00")
	waits(time.Minute, 0) // 60/e, 60 exp(-1/5), 60 exp(-1/15)
	expect("22.07", "49.12", "56.13")
	waits(5*time.Hour, 0)
	expect("0.00", "0.00", "0.00")
	if len(ann.pulls()) == 0 {
		t.Error("who subscribes to loads gets none")
	}
	if got["publish/received/1min"] != "0.00" || got["connections/15min"] != "0.00" {
		t.Errorf("what core counts itself is not there: %v", got)
	}
}
