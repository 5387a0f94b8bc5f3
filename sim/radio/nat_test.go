package radio

import (
	"testing"
	"time"

	"dormouse/mqttsn/clock"
)

// rebindings is when device, sending each interval, has another address.
func rebindings(m *Model, device uint32, interval time.Duration, n int) (at []time.Duration) {
	s := Device(device)
	for i := range n {
		since := time.Duration(i) * interval
		if m.Rebound(&s, start.Add(since)) {
			at = append(at, since)
		}
		if m.Rebound(&s, start.Add(since)) {
			at = append(at, since) // a second time, which is one too many
		}
		m.Up(&s, start.Add(since), 20)
	}
	return at
}

func TestRebindingEvery(t *testing.T) {
	const every = 10 * time.Minute
	for _, jitter := range []time.Duration{0, 3 * time.Minute, every} {
		m := newModel(t, Config{NAT: NAT{Every: every, Jitter: jitter}})
		phases := map[time.Duration]bool{}
		for device := range uint32(10) {
			at := rebindings(m, device, time.Second, 100*600) // 100 times every
			if n := len(at); n < 99 || n > 101 {
				t.Errorf("jitter %v: device %d has %d rebindings, want 100", jitter, device, n)
			}
			gaps := map[time.Duration]bool{}
			for i := 1; i < len(at); i++ {
				gap := at[i] - at[i-1]
				gaps[gap] = true
				if d := (gap - every).Abs(); d > jitter {
					t.Errorf("jitter %v: a binding lasts %v", jitter, gap)
				}
			}
			if jitter == 0 && len(gaps) != 1 || jitter > 0 && len(gaps) < 20 {
				t.Errorf("jitter %v: bindings last %d different times", jitter, len(gaps))
			}
			phases[at[0]] = true
		}
		if len(phases) < 8 {
			t.Errorf("ten devices get their first new address at %d times", len(phases))
		}
	}
}

// TestRebindingEdge: what is sent in the very moment of a rebinding has the
// new address, and keeps it.
func TestRebindingEdge(t *testing.T) {
	m, s := newModel(t, Config{NAT: NAT{Every: 10 * time.Minute}}), Device(1)
	m.Up(&s, start, 20)
	at := m.rebinding(1, start)
	for i, want := range []bool{true, false} {
		if got := m.Rebound(&s, at); got != want {
			t.Errorf("rebound is %v when asked for the %dth time", got, i+1)
		}
		m.Up(&s, at, 20)
	}
}

// TestRarelySending: a device that sends less often than it is rebound has
// another address each time it sends.
func TestRarelySending(t *testing.T) {
	m := newModel(t, Config{NAT: NAT{Every: 10 * time.Minute, Jitter: time.Minute}})
	if n := len(rebindings(m, 1, time.Hour, 101)); n != 100 {
		t.Errorf("%d rebindings in 100 hours of sending each hour", n)
	}
}

func TestIdleBinding(t *testing.T) {
	m := newModel(t, Config{NAT: NAT{Idle: time.Minute}})
	if at := rebindings(m, 1, time.Minute-1, 1000); at != nil {
		t.Errorf("a binding that is used in time is lost at %v", at)
	}
	if n := len(rebindings(m, 1, time.Minute, 1001)); n != 1000 {
		t.Errorf("%d of 1000 bindings are lost that are used too late", n)
	}
	both := newModel(t, Config{NAT: NAT{Idle: time.Minute, Every: time.Hour}})
	if n := len(rebindings(both, 1, 30*time.Second, 120*100)); n < 99 || n > 101 {
		t.Errorf("%d rebindings in 100 hours, of a binding that is used in time", n)
	}
}

// TestUnbound: without a binding nothing reaches the device, and neither what
// it is sent nor what the radio loses on the way up prolongs it.
func TestUnbound(t *testing.T) {
	m := newModel(t, Config{
		NAT:     NAT{Idle: time.Minute},
		Outages: Outages{Intervals: []Interval{{10 * time.Minute, time.Second}}},
	})
	s := Device(1)
	at := func(d time.Duration) clock.Time { return start.Add(d) }
	down := func(d time.Duration, want Outcome) {
		t.Helper()
		if f := m.Down(&s, at(d), 20); f.Outcome != want {
			t.Errorf("down after %v: %v, want %v", d, f.Outcome, want)
		}
	}
	down(0, Unbound) // nobody has heard of the device
	m.Up(&s, at(0), 20)
	down(30*time.Second, Arrived)
	down(time.Minute-1, Arrived)
	down(time.Minute, Unbound)
	if m.Rebound(&s, at(time.Minute-1)) {
		t.Error("rebound before the time-out")
	}
	if !m.Rebound(&s, at(time.Minute)) {
		t.Error("what was sent down has prolonged the binding")
	}
	down(time.Minute, Unbound)

	m.Up(&s, at(10*time.Minute-30*time.Second), 20)
	if f := m.Up(&s, at(10*time.Minute), 20); f.Outcome != Outage {
		t.Fatalf("%+v in the outage", f)
	}
	down(10*time.Minute+29*time.Second, Arrived)
	if !m.Rebound(&s, at(10*time.Minute+30*time.Second)) {
		t.Error("what the radio lost has prolonged the binding")
	}
}
