package workload

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPoll wakes a device on its own clock, never later than it should.
func TestPoll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, s := anyIlls.Draw(t, "ills"), anyDevice(t)
		c := Config{Sleep: Sleep{
			Policy:  Sleeping,
			For:     time.Duration(rapid.IntRange(1, 65535).Draw(t, "for")) * time.Second,
			Aligned: rapid.Bool().Draw(t, "aligned"),
		}}
		p := &c.Sleep
		if rapid.Bool().Draw(t, "polling") {
			p.Poll = time.Duration(rapid.Int64Range(int64(shortest), int64(p.For)).Draw(t, "poll"))
		}
		most := p.Interval() - 1
		if p.Aligned {
			most = min(most, p.For-p.Interval())
		}
		p.Jitter = time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, "jitter"))
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		now := start.Add(time.Duration(rapid.Int64Range(0, int64(100*day)).Draw(t, "now")))
		for range 20 {
			at := c.Poll(s, i, now)
			if at <= now {
				t.Fatalf("asleep at %v it wakes at %v", now, at)
			}
			longest := p.Interval()
			if p.Aligned {
				longest += p.Jitter
			}
			if took, most := at.Sub(now), i.Lasts(s, longest); took > most+1 || most > i.Lasts(s, p.For) {
				t.Fatalf("it sleeps for %v; want %v at most, and no longer than %v", took, most, p.For)
			}
			if !p.Aligned && at.Sub(now) < i.Lasts(s, p.Interval()-p.Jitter)-1 {
				t.Fatalf("it sleeps for %v; want %v less at most %v", at.Sub(now), p.Interval(), p.Jitter)
			}
			if l := i.Local(s, at); p.Aligned && p.Jitter == 0 && l%p.Interval() != 0 && i.Drift == 0 {
				t.Fatalf("it wakes at %v; want a multiple of %v", l, p.Interval())
			}
			now = at
		}
	})
}

// TestPollJitter wakes a device early by anything up to the jitter.
func TestPollJitter(t *testing.T) {
	c := Config{Sleep: Sleep{Policy: Sleeping, For: time.Hour, Poll: 20 * time.Minute, Jitter: 10 * time.Minute}}
	early, now := 0, start
	for range 1000 {
		at := c.Poll(device(0), &well, now)
		if at.Sub(now) < 15*time.Minute {
			early++
		}
		now = at
	}
	if early < 450 || early > 550 {
		t.Errorf("%d of 1,000 wakes are more than 5 min early; want 500", early)
	}
}

// TestAlignedPoll wakes all at once, and once for each time: who is early and
// asleep again does not wake for the same one.
func TestAlignedPoll(t *testing.T) {
	c := Config{Sleep: Sleep{Policy: Sleeping, For: time.Hour, Poll: 20 * time.Minute, Aligned: true}}
	for n := range 100 {
		if at := c.Poll(device(n), &well, start.Add(31*time.Minute)).Sub(start); at != 40*time.Minute {
			t.Fatalf("device %d wakes at %v; want 40m", n, at)
		}
	}
	c.Sleep.Jitter = time.Minute
	early := 0
	for n := range 100 {
		now := start
		for k := range 10 {
			now = c.Poll(device(n), &well, now)
			off := now.Sub(start) - time.Duration(k+1)*20*time.Minute
			if off > 0 || off < -time.Minute {
				t.Fatalf("device %d wakes %v off", n, off)
			}
			if off < -30*time.Second {
				early++
			}
		}
	}
	if early < 400 || early > 600 {
		t.Errorf("%d of 1,000 wakes are half a minute early; want 500", early)
	}
}

// commanded returns when commands are due up to end, since the start.
func commanded(c *Config, s *State, stage, end time.Duration) (at []time.Duration) {
	for {
		next := c.Command(s, start.Add(stage))
		if next == 0 || next.Sub(start) > end {
			return at
		}
		at = append(at, next.Sub(start))
		c.Commanded(s, start.Add(stage), next)
	}
}

func TestCommands(t *testing.T) {
	at := []time.Duration{90 * time.Minute, 0, 30 * time.Minute}
	for _, tt := range []struct {
		name string
		m    Commands
		want []time.Duration
	}{
		{"at", Commands{At: at}, []time.Duration{time.Hour, 90 * time.Minute, 150 * time.Minute}},
		{"broadcast", Commands{Every: time.Hour, Broadcast: true},
			[]time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}},
		{"both, once where they agree", Commands{Every: 30 * time.Minute, Broadcast: true, At: at},
			[]time.Duration{60 * time.Minute, 90 * time.Minute, 120 * time.Minute, 150 * time.Minute, 180 * time.Minute}},
	} {
		s := device(5)
		stage := start.Add(time.Hour)
		s.Switch(stage)
		if got := commanded(&Config{Commands: tt.m}, s, time.Hour, 3*time.Hour); !slices.Equal(got, tt.want) {
			t.Errorf("%s: commands at %v; want %v", tt.name, got, tt.want)
		}
	}
}

// TestCommandRate has each device be commanded as often as asked for, and not
// all of them at once.
func TestCommandRate(t *testing.T) {
	c := Config{Commands: Commands{Every: time.Hour, Jitter: 30 * time.Minute}}
	first := map[time.Duration]bool{}
	for n := range 100 {
		at := commanded(&c, device(n), 0, 100*hour)
		if len(at) < 99 || len(at) > 101 {
			t.Errorf("device %d gets %d commands in 100 h", n, len(at))
		}
		for k := range at[1:] {
			if gap := at[k+1] - at[k]; gap <= 0 || gap > 2*time.Hour {
				t.Errorf("device %d gets commands %v apart", n, gap)
			}
		}
		first[at[0]] = true
	}
	if len(first) != 100 {
		t.Errorf("100 devices get their first command at %d different moments", len(first))
	}
}

// TestCommandsMissed counts what could not be sent for a while, each moment
// once.
func TestCommandsMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{Commands: Commands{
			Every:     time.Duration(rapid.Int64Range(int64(10*time.Second), int64(day)).Draw(t, "every")),
			Broadcast: rapid.Bool().Draw(t, "broadcast"),
			Topic:     "cmd",
		}}
		m := &c.Commands
		m.Jitter = time.Duration(rapid.Int64Range(0, int64(m.Every/3)).Draw(t, "jitter"))
		for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, 20), 0, 5, rapid.ID).Draw(t, "at") {
			m.At = append(m.At, time.Duration(k)*m.Every/2)
		}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		s := anyDevice(t)
		gap := time.Duration(rapid.Int64Range(0, int64(20*m.Every)).Draw(t, "gap"))
		present := *s
		want := len(commanded(&c, &present, 0, gap))
		total, now := 0, start.Add(gap)
		for at := c.Command(s, start); at.Reached(now); at = c.Command(s, start) {
			total += 1 + c.Commanded(s, start, now)
		}
		if total != want {
			t.Fatalf("%d commands sent or missed in %v; want %d", total, gap, want)
		}
		if a, b := c.Command(s, start), c.Command(&present, start); a != b {
			t.Fatalf("then the next is due at %v; want %v", a, b)
		}
	})
}
