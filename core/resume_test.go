package core

import (
	"testing"
	"time"

	"dormouse/core/store"
)

// resumes attaches p as a sensor that was there before the restart.
func (p *person) resumes(expiry time.Duration) bool {
	p.Session = p.w.Resume(Identity{ClientID: p.id, Edge: "mqttsn"}, SessionOptions{Sensor: true, Expiry: expiry}, p)
	return p.Session != nil
}

// left is who is left, and the states of their edges.
func (w *world) left() (all []string) {
	for l := range w.Left {
		all = append(all, l.ClientID+"="+string(l.EdgeState))
	}
	return all
}

// TestHostile18WhileAway: rules that have changed while the process did not run
// hold for a sensor that sleeps through that, as for all others.
func TestHostile18WhileAway(t *testing.T) {
	var r rules
	w := newWorld(t, r.options, func(o *Options) { o.Store = store.NewMemory() })
	p := w.opens("p", SessionOptions{Sensor: true, Expiry: time.Hour}).subscribes("secret:1", "open:1")
	p.SaveEdge([]byte("asleep"), func(error) {})
	w.comes("bob").says(1, "secret=waits")
	w.restarts()
	r.forbidden = []string{"p subscribe secret on resume", "p subscribe secret on request"} // deliveries are not asked about
	p = &person{w: w, id: "p"}
	if !p.resumes(time.Hour) {
		t.Fatal("it is not resumed")
	}
	bob := w.comes("bob")
	bob.says(1, "secret=new")
	bob.says(1, "open=new")
	if got := p.pulls(); len(got) != 1 || got[0].Topic != "open" {
		t.Errorf("it gets %v, want what is open", got)
	}
}

// TestResume: to a session that is resumed after a restart nothing has
// happened, whether the process was killed or closed.
func TestResume(t *testing.T) {
	for _, stop := range []struct {
		name string
		do   func(*world)
	}{
		{"killed", func(*world) {}},
		{"closed", func(w *world) { w.Close() }},
	} {
		t.Run(stop.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
			p := w.opens("p", SessionOptions{Sensor: true, Expiry: time.Hour, Will: willing("x")}).subscribes("a")
			p.SaveEdge([]byte("here"), func(error) {})
			w.opens("ann", keep).subscribes("will")
			w.opens("q", SessionOptions{}).says(1, "a=1")
			w.opens("q", SessionOptions{}).says(1, "a=2")
			if d, _ := p.Next(); d.ID != 1 {
				t.Fatalf("in flight under %d", d.ID)
			}
			stop.do(w)
			w.restarts()
			if got := w.left(); len(got) != 1 || got[0] != "p=here" {
				t.Fatalf("left are %q", got)
			}
			p = &person{w: w, id: "p"}
			if !p.resumes(time.Hour) || len(w.left()) != 0 {
				t.Fatal("it cannot be resumed, or is left all the same")
			}
			again := &person{w: w, id: "p"}
			if again.resumes(time.Hour) {
				t.Error("it is resumed twice")
			}
			w.waits(10 * time.Hour) // it does not expire while it is there
			if d, _ := p.Next(); d.ID != 1 || !d.DUP || string(d.Payload) != "1" {
				t.Errorf("%+v", d)
			}
			p.Ack(1)
			if d, _ := p.Next(); d.ID != 2 || d.DUP {
				t.Errorf("%+v", d)
			}
			p.Ack(2)
			w.opens("q", SessionOptions{}).says(1, "a=3")
			p.leaves(Lost)
			w.opens("ann", keep).gets("will=x/1")
			w.restarts()
			if got := w.left(); len(got) != 0 {
				t.Errorf("lost, but left are %q", got)
			}
		})
	}
}

// TestWhoIsNotResumed: whoever has gone, or is somewhere else since, or has not
// said where.
func TestWhoIsNotResumed(t *testing.T) {
	sensor := SessionOptions{Sensor: true, Expiry: time.Hour}
	for _, tt := range []struct {
		name string
		do   func(w *world, p *person)
		left bool
	}{
		{"gone", func(w *world, p *person) { p.leaves(Clean) }, false},
		{"lost", func(w *world, p *person) { p.leaves(Lost) }, false},
		{"kicked", func(w *world, p *person) { w.Kick("p", false) }, false},
		{"has come by another edge", func(w *world, p *person) { w.opens("p", keep) }, false},
		{"has begun anew", func(w *world, p *person) { w.opens("p", SessionOptions{Sensor: true, CleanStart: true}) }, false},
		{"has opened again, and is not heard of yet", func(w *world, p *person) { w.opens("p", sensor) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Store = store.NewMemory() })
			p := w.opens("p", sensor)
			p.SaveEdge([]byte("ids"), func(error) {})
			tt.do(w, p)
			w.restarts()
			if got := len(w.left()) == 1; got != tt.left || (&person{w: w, id: "p"}).resumes(time.Hour) != tt.left {
				t.Errorf("left: %v, want %v", got, tt.left)
			}
			if p := w.opens("p", sensor); p.present && string(p.EdgeState()) != "ids" {
				t.Errorf("its state is %q", p.EdgeState())
			}
		})
	}
}
