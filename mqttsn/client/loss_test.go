package client

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A day is all that a client does, one exchange after another. What the
// station has heard at the end, and the client, is checked after each.
func (w *world) day() {
	ok := func(what string, request func(clock.Time, *Actions) error) {
		w.t.Helper()
		if err := w.do(request); err != nil {
			w.t.Fatalf("%s: %v", what, err)
		}
	}
	publish := func(topic mqttsn.Topic, q mqttsn.QoS) {
		m := Message{Topic: topic, QoS: q, Payload: fmt.Appendf(nil, "up%d", q)}
		ok(fmt.Sprint("publish at QoS ", q), func(now clock.Time, out *Actions) error { return w.c.Publish(now, &m, out) })
	}
	ok("connect", func(now clock.Time, out *Actions) error {
		return w.c.Connect(now, Session{ClientID: "dev", CleanSession: true, KeepAlive: time.Minute, Will: &Will{Topic: "gone"}}, out)
	})
	publish(Predefined(77), 1)
	publish(Name("a/b"), 1)
	publish(Name("a/b"), 2)
	ok("register", func(now clock.Time, out *Actions) error { return w.c.Register(now, "a/c", out) })
	ok("subscribe", func(now clock.Time, out *Actions) error { return w.c.Subscribe(now, Name("cmd"), 2, out) })
	ok("update the will", func(now clock.Time, out *Actions) error { return w.c.UpdateWill(now, &Will{Topic: "new"}, out) })
	for q := mqttsn.QoS(1); q <= 2; q++ {
		w.posts("cmd", fmt.Sprintf("down%d", q), q)
		w.posts(fmt.Sprintf("new%d", q), fmt.Sprintf("down%d", q), q)
		w.until(func() bool { return len(w.s.mail) == 0 })
	}
	ok("unsubscribe", func(now clock.Time, out *Actions) error { return w.c.Unsubscribe(now, Name("cmd"), out) })
	ok("sleep", func(now clock.Time, out *Actions) error { return w.c.Sleep(now, time.Hour, out) })
	for range 2 { // twice: the second flush is empty
		ok("wake", w.c.Wake)
		if w.c.State() != Asleep {
			w.t.Fatalf("after waking the client is %v", w.c.State())
		}
	}
	for q := mqttsn.QoS(1); q <= 2; q++ {
		w.posts("cmd", fmt.Sprintf("night%d", q), q)
		w.posts(fmt.Sprintf("dark%d", q), fmt.Sprintf("night%d", q), q)
	}
	ok("wake", w.c.Wake)
	ok("connect again", func(now clock.Time, out *Actions) error { return w.c.Connect(now, Session{ClientID: "dev"}, out) })
	ok("disconnect", w.c.Disconnect)

	if w.missing != nil {
		w.t.Errorf("the connection was lost: %v", w.missing)
	}
	if w.s.will != "new" {
		w.t.Errorf("the will is %q", w.s.will)
	}
	w.check("the station", w.s.heard, []string{"77=up1", "1=up1", "1=up2"})
	w.check("the client", w.heard, []string{
		"cmd=down1", "new1=down1", "cmd=down2", "new2=down2", "cmd=night1", "dark1=night1", "cmd=night2", "dark2=night2"})
}

// check compares messages: at QoS 2, once each; at QoS 1, once or more; in order.
func (w *world) check(who string, heard, want []string) {
	w.t.Helper()
	if got := slices.Compact(slices.Clone(heard)); !slices.Equal(got, want) {
		w.t.Errorf("%s has heard %q\nwant %q", who, heard, want)
	}
	for _, m := range want {
		if n := strings.Count(strings.Join(heard, "\n")+"\n", m+"\n"); strings.HasSuffix(m, "2") && n != 1 {
			w.t.Errorf("%s has heard %s %d times", who, m, n)
		}
	}
}

var dayConfig = Config{RetryInterval: 10 * time.Second, MaxRetries: 3, MaxTopics: 16}

// TestEveryPacketLost loses each packet of every exchange in turn, and sends
// each twice in turn: nobody is to notice.
func TestEveryPacketLost(t *testing.T) {
	for copies, name := range map[int]string{0: "lost", 2: "doubled"} {
		t.Run(name, func(t *testing.T) {
			for k := 0; ; k++ {
				w := newWorld(t, &dayConfig, func(n int) int {
					if n == k {
						return copies
					}
					return 1
				})
				w.day()
				if t.Failed() {
					t.Fatalf("with datagram %d %s", k, name)
				}
				if k >= w.n {
					t.Logf("%d datagrams, each %s once", w.n, name)
					return
				}
			}
		})
	}
}

// TestLossyDays: a fifth lost, a tenth doubled.
func TestLossyDays(t *testing.T) {
	cfg := dayConfig
	cfg.MaxRetries = 20
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(t, &cfg, func(int) int {
			switch f := r.Float64(); {
			case f < 0.2:
				return 0
			case f < 0.3:
				return 2
			}
			return 1
		})
		w.day()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestLossyFirmware: whatever its manners, what a client says it has published
// has been heard, though a fifth is lost and a tenth doubled; and who can sleep
// and wake gets what came meanwhile.
func TestLossyFirmware(t *testing.T) {
	for i, cfg := range manners() {
		cfg.MaxRetries, cfg.MaxTopics = 20, 16
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			w := newWorld(t, &cfg, func(int) int {
				switch f := r.Float64(); {
				case f < 0.2:
					return 0
				case f < 0.3:
					return 2
				}
				return 1
			})
			w.firmwareDay(&cfg)
			if t.Failed() {
				t.Fatalf("manners %d, seed %d", i, seed)
			}
		}
	}
}

func (w *world) firmwareDay(cfg *Config) {
	connect := func() {
		for w.do(func(now clock.Time, out *Actions) error { return w.c.Connect(now, Session{ClientID: "dev"}, out) }) != nil {
		}
	}
	var want []string
	publish := func() {
		text := fmt.Sprint(len(want))
		m := Message{Topic: Name("a"), QoS: 1, Payload: []byte(text)}
		if err := w.do(func(now clock.Time, out *Actions) error { return w.c.Publish(now, &m, out) }); err != nil {
			w.t.Errorf("publish: %v", err)
		}
		want = append(want, "1="+text)
	}
	for range 3 {
		connect()
		publish()
		publish()
		if !cfg.CanSleep() {
			continue
		}
		w.do(func(now clock.Time, out *Actions) error { return w.c.Sleep(now, time.Hour, out) })
		if cfg.CanWake() {
			w.posts("b", "night", 2)
			if err := w.do(w.c.Wake); err != nil {
				w.t.Errorf("wake: %v", err)
			}
		}
		if cfg.Quirks.Has(SleepTalk) {
			publish()
		}
	}
	if got := slices.Compact(slices.Clone(w.s.heard)); !slices.Equal(got, want) {
		w.t.Errorf("the station has heard %q\nwant %q", got, want)
	}
	if n := strings.Count(strings.Join(w.heard, " "), "b=night"); cfg.CanWake() && cfg.CanSleep() && n != 3 {
		w.t.Errorf("the client has heard %q", w.heard)
	}
}
