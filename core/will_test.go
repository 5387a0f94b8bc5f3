package core

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dormouse/core/store"
)

func willing(payload string) *Will { return &Will{Message: message(1, "will="+payload)} }

func TestWill(t *testing.T) {
	delayed := &Will{Message: message(1, "will=x"), Delay: time.Minute}
	hour := SessionOptions{Expiry: time.Hour, Will: delayed}
	for _, tt := range []struct {
		name string
		o    SessionOptions
		does func(w *world, p *person)
		want []string
	}{
		{"lost", SessionOptions{Will: willing("x")}, func(w *world, p *person) { p.leaves(Lost) }, []string{"will=x/1"}},
		{"clean", SessionOptions{Will: willing("x")}, func(w *world, p *person) { p.leaves(Clean) }, nil},
		{"shutdown", SessionOptions{Will: willing("x")}, func(w *world, p *person) { p.leaves(Shutdown) }, nil},
		{"lost twice", SessionOptions{Will: willing("x")}, func(w *world, p *person) { p.leaves(Lost); p.leaves(Lost) }, []string{"will=x/1"}},
		{"lost, kept, expired", SessionOptions{Expiry: time.Minute, Will: willing("x")}, func(w *world, p *person) {
			p.leaves(Lost)
			w.waits(time.Hour)
		}, []string{"will=x/1"}},
		{"replaced", SessionOptions{Will: willing("x")}, func(w *world, p *person) {
			p.SetWill(willing("y"), func(error) {})
			p.leaves(Lost)
		}, []string{"will=y/1"}},
		{"deleted", SessionOptions{Will: willing("x")}, func(w *world, p *person) {
			p.SetWill(nil, func(error) {})
			p.leaves(Lost)
		}, nil},
		{"taken over", SessionOptions{Expiry: time.Hour, Will: willing("x")}, func(w *world, p *person) {
			w.comes("p").leaves(Lost) // which has no will
		}, []string{"will=x/1"}},
		{"delay not over", hour, func(w *world, p *person) { p.leaves(Lost); w.waits(59 * time.Second) }, nil},
		{"delay over", hour, func(w *world, p *person) { p.leaves(Lost); w.waits(time.Minute) }, []string{"will=x/1"}},
		{"delay over, session expired", hour, func(w *world, p *person) { p.leaves(Lost); w.waits(2 * time.Hour) }, []string{"will=x/1"}},
		{"back before the delay", hour, func(w *world, p *person) {
			p.leaves(Lost)
			w.comes("p")
			w.waits(time.Hour)
		}, nil},
		{"back with a clean start before the delay", hour, func(w *world, p *person) {
			p.leaves(Lost)
			w.opens("p", SessionOptions{CleanStart: true})
		}, []string{"will=x/1"}},
		{"taken over before the delay", hour, func(w *world, p *person) { w.comes("p"); w.waits(time.Hour) }, nil},
		{"session ends before the delay", SessionOptions{Expiry: 30 * time.Second, Will: delayed}, func(w *world, p *person) {
			p.leaves(Lost)
			w.waits(30 * time.Second)
		}, []string{"will=x/1"}},
		{"no session to wait for the delay", SessionOptions{Will: delayed}, func(w *world, p *person) { p.leaves(Lost) }, []string{"will=x/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			ann := w.comes("ann").subscribes("will")
			tt.does(w, w.opens("p", tt.o))
			ann.gets(tt.want...)
		})
	}
}

// TestKeptWill is the way of MQTT-SN 1.2 §6.3: the will belongs to the session.
func TestKeptWill(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("will")
	sensor := SessionOptions{Expiry: time.Hour, Sensor: true}
	withWill := sensor
	withWill.Will = willing("x")

	w.opens("p", withWill)
	p := w.opens("p", sensor) // from another address: nothing has happened
	p.opensAgain(sensor)      // and from the same
	ann.gets()
	p.leaves(Clean)
	w.waits(time.Minute)
	ann.gets()
	p.opensAgain(sensor)
	if got := p.Will(); got == nil || string(got.Payload) != "x" {
		t.Fatalf("the will is %v", got)
	}
	p.leaves(Lost)
	ann.gets("will=x/1")
	p.opensAgain(sensor)
	p.leaves(Lost) // a second loss is a second loss
	ann.gets("will=x/1")
	w.waits(2 * time.Hour) // the end of the session is none
	ann.gets()

	p.opensAgain(withWill)
	clean := sensor
	clean.CleanStart = true
	p.opensAgain(clean)
	if p.Will() != nil {
		t.Error("a clean start left the will")
	}
	p.leaves(Lost)
	ann.gets()
}

func TestWillCrossesEdges(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("will")
	w.opens("p", SessionOptions{Expiry: time.Hour, Will: willing("mqtt")})
	p := w.opens("p", SessionOptions{Expiry: time.Hour, Sensor: true})
	ann.gets("will=mqtt/1")
	p.leaves(Lost)
	ann.gets() // it went with its connection
}

func TestWillIsAuthorizedTwice(t *testing.T) {
	allowed := true
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(_ Identity, a Access) bool {
			return a.Do == ActSubscribe || a.Topic == "will" && allowed
		}
	})
	ann := w.comes("ann").subscribes("#")
	for topic, want := range map[string]error{"denied": ErrNotAuthorized, "$SYS/x": ErrNotAuthorized, "a/#": ErrInvalidTopic} {
		p := &person{w: w, id: "p"}
		p.opensAgain(SessionOptions{Will: &Will{Message: message(0, topic+"=x")}})
		if !errors.Is(p.err, want) {
			t.Errorf("open with a will to %s: %v, want %v", topic, p.err, want)
		}
		p.opensAgain(SessionOptions{})
		p.SetWill(&Will{Message: message(0, topic+"=x")}, func(err error) {
			if !errors.Is(err, want) {
				t.Errorf("SetWill to %s: %v, want %v", topic, err, want)
			}
		})
	}
	p := w.opens("p", SessionOptions{Will: willing("x")})
	allowed = false // the rules change while it is there
	p.leaves(Lost)
	ann.gets()
}

func TestWillExpiresAfterItIsPublished(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("will")
	mortal := willing("x")
	mortal.Lifetime = time.Minute
	p := w.opens("p", SessionOptions{Will: mortal})
	w.waits(time.Hour)
	p.leaves(Lost)
	w.waits(59 * time.Second)
	ann.gets("will=x/1")
}

// TestSensorDoesNotInheritAWillOfMQTT: the will of a connection ends with it,
// also if it was to come later.
func TestSensorDoesNotInheritAWillOfMQTT(t *testing.T) {
	w := newWorld(t)
	ann := w.comes("ann").subscribes("will")
	delayed := &Will{Message: message(1, "will=mqtt"), Delay: time.Minute}
	for _, attached := range []bool{true, false} {
		old := w.opens("p", SessionOptions{Expiry: time.Hour, Will: delayed})
		if !attached {
			old.leaves(Lost)
		}
		p := w.opens("p", SessionOptions{Expiry: time.Hour, Sensor: true})
		if p.Will() != nil {
			t.Errorf("the sensor has the will of the MQTT client before it, which was attached: %v", attached)
		}
		p.leaves(Lost)
		w.waits(2 * time.Minute)
		ann.gets()
	}
}

// TestKeptWillIsJudgedByWhoArmedIt: the access rules know who it is after a
// restart, too.
func TestKeptWillIsJudgedByWhoArmedIt(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Store = store.NewMemory()
		o.Authorize = func(who Identity, _ Access) bool { return who.Edge == "test" }
	})
	sensor := SessionOptions{Expiry: time.Hour, Sensor: true, Will: willing("x")}
	p := w.opens("p", sensor)
	w.restarts()
	ann := w.comes("ann").subscribes("will")
	sensor.Will = nil
	p.opensAgain(sensor)
	p.leaves(Lost)
	ann.gets("will=x/1")
}

// TestWillsOutliveTheProcess: who was connected when the process was killed is
// lost, and whoever was lost before stays so. A will comes once.
func TestWillsOutliveTheProcess(t *testing.T) {
	delayed := func() *Will { return &Will{Message: message(1, "will=x"), Delay: time.Minute} }
	for _, tt := range []struct {
		name       string
		o          SessionOptions
		before     func(w *world, p *person)
		down       time.Duration
		soon, late []string // at once, and a minute later
	}{
		{name: "clean", o: SessionOptions{Will: willing("x")}, soon: []string{"will=x/1"}},
		{name: "kept", o: SessionOptions{Expiry: time.Hour, Will: willing("x")}, soon: []string{"will=x/1"}},
		{name: "for ever", o: SessionOptions{Expiry: Forever, Will: willing("x")}, soon: []string{"will=x/1"}},
		{name: "delayed", o: SessionOptions{Expiry: time.Hour, Will: delayed()}, down: time.Hour, late: []string{"will=x/1"}},
		{name: "clean, delayed", o: SessionOptions{Will: delayed()}, soon: []string{"will=x/1"}},
		{name: "delay running", o: SessionOptions{Expiry: Forever, Will: delayed()},
			before: func(w *world, p *person) { p.leaves(Lost) }, down: 30 * time.Second, late: []string{"will=x/1"}},
		{name: "delay over meanwhile", o: SessionOptions{Expiry: Forever, Will: delayed()},
			before: func(w *world, p *person) { p.leaves(Lost) }, down: time.Hour, soon: []string{"will=x/1"}},
		{name: "session over meanwhile", o: SessionOptions{Expiry: 50 * time.Second, Will: delayed()},
			before: func(w *world, p *person) { p.leaves(Lost) }, down: time.Hour, soon: []string{"will=x/1"}},
		{name: "published before", o: SessionOptions{Expiry: Forever, Will: delayed()},
			before: func(w *world, p *person) {
				p.leaves(Lost)
				w.waits(2 * time.Minute)
				w.opens("ann", keep).gets("will=x/1")
			}},
		{name: "lost before", o: SessionOptions{Will: willing("x")},
			before: func(w *world, p *person) { p.leaves(Lost); w.opens("ann", keep).gets("will=x/1") }},
		{name: "gone well before", o: SessionOptions{Will: willing("x")},
			before: func(w *world, p *person) { p.leaves(Clean) }},
		{name: "kept, gone well before", o: SessionOptions{Expiry: time.Hour, Will: willing("x")},
			before: func(w *world, p *person) { p.leaves(Clean) }},
		{name: "back without", o: SessionOptions{Will: willing("x")},
			before: func(w *world, p *person) {
				p.leaves(Clean)
				w.opens("p", SessionOptions{})
			}},
		{name: "shut down", o: SessionOptions{Will: willing("x")},
			before: func(w *world, p *person) { w.Close() }},
		{name: "sensor, not kept", o: SessionOptions{Sensor: true, Will: willing("x")}},
		{name: "sensor", o: SessionOptions{Sensor: true, Expiry: time.Hour, Will: willing("x")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
			w.opens("ann", keep).subscribes("will")
			p := w.opens("p", tt.o)
			if tt.before != nil {
				tt.before(w, p)
			}
			w.now.Add(int64(tt.down))
			w.restarts()
			w.waits(time.Second)
			w.opens("ann", keep).gets(tt.soon...)
			w.waits(time.Minute)
			w.opens("ann", keep).gets(tt.late...)
			w.restarts()
			w.waits(2 * time.Minute)
			w.opens("ann", keep).gets()
		})
	}
}

var keep = SessionOptions{Expiry: Forever}

// TestExpiryGoesOnWhileDown: of a session that was left before; one that was
// attached has all its time from the restart.
func TestExpiryGoesOnWhileDown(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
	hour := SessionOptions{Expiry: time.Hour}
	w.opens("left", hour).leaves(Lost)
	w.opens("there", hour)
	w.now.Add(int64(40 * time.Minute))
	w.restarts()
	w.now.Add(int64(30 * time.Minute))
	w.waits(time.Second)
	if w.opens("left", hour).present || !w.opens("there", hour).present {
		t.Errorf("of the two sessions there are %d", w.Stats().Clients)
	}
}

// TestFullStoreTurnsNobodyAwayForHisWill: that it outlives the process is more
// than the client of a clean session was promised.
func TestFullStoreTurnsNobodyAwayForHisWill(t *testing.T) {
	w, m := meddledWorld(t)
	ann := w.opens("ann", SessionOptions{}).subscribes("will:0")
	m.before = func(f store.Fact) error {
		if _, ok := f.(*store.Session); ok {
			return fmt.Errorf("%w: no room", store.ErrFull)
		}
		return nil
	}
	p := w.opens("p", SessionOptions{Will: willing("x")})
	kept := &person{w: w, id: "kept"}
	kept.opensAgain(SessionOptions{Expiry: time.Hour, Will: willing("x")})
	if !errors.Is(kept.err, ErrFull) {
		t.Errorf("a session that cannot be kept: %v", kept.err)
	}
	p.leaves(Lost)
	ann.gets("will=x")
}
