package bridge

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"dormouse/core"
	"dormouse/core/store"
	"dormouse/mqttsn"
	"dormouse/mqttsn/session"
)

// A world is a bridge to a broker, and an MQTT client that listens to it.
type world struct {
	*Bridge
	t   *testing.T
	ann *core.Session
}

// nobody is the Sink of a client that looks for itself.
type nobody struct{}

func (nobody) Mail()                {}
func (nobody) Kick(core.KickReason) {}

func newWorld(t *testing.T, change ...func(*core.Options)) *world {
	o := core.DefaultOptions()
	for _, f := range change {
		f(&o)
	}
	w := &world{t: t, Bridge: New(core.New(o), DefaultConfig())}
	w.ann = w.mqtt("ann")
	w.ann.Subscribe(core.Subscription{Filter: "#", QoS: 2}, func(core.QoS, error) {})
	return w
}

// mqtt opens a kept session of the other edge.
func (w *world) mqtt(id string) (s *core.Session) {
	w.core.Open(core.Identity{ClientID: id, Edge: "mqtt"}, core.SessionOptions{Expiry: core.Forever},
		nobody{}, func(opened *core.Session, _ bool, _ error) { s = opened })
	return s
}

// hears fails unless ann has got want, as "topic=payload/QoS".
func (w *world) hears(want ...string) {
	w.t.Helper()
	var got []string
	for d, ok := w.ann.Next(); ok; d, ok = w.ann.Next() {
		got = append(got, fmt.Sprintf("%s=%s/%d", d.Topic, d.Payload, d.QoS))
		if d.ID != 0 {
			w.ann.Ack(d.ID)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("ann hears %q, want %q", got, want)
	}
}

// A seat is one address of a sensor.
type seat struct {
	w    *world
	id   string
	link session.Link

	mu      sync.Mutex
	answers []session.Answer
	mails   int
	kicked  session.Reason
}

func (s *seat) Answer(a session.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, a)
}

func (s *seat) Mail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails++
}

func (s *seat) Kick(why session.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicked = why
}

func (w *world) seat(id string) *seat { return &seat{w: w, id: id} }

// opens sends a CONNECT and returns its answer.
func (s *seat) opens(r session.Request) session.Answer {
	s.w.t.Helper()
	s.connects(r)
	return s.answer()
}

func (s *seat) connects(r session.Request) {
	r.Kind = session.AskOpen
	s.link = s.w.Open(session.Client{ID: s.id}, &r, s)
}

// asks asks and returns the answer.
func (s *seat) asks(r session.Request) session.Answer {
	s.w.t.Helper()
	s.link.Ask(&r)
	return s.answer()
}

// answer takes the one answer that there is.
func (s *seat) answer() session.Answer {
	s.w.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) != 1 {
		s.w.t.Fatalf("%d answers, want one: %+v", len(s.answers), s.answers)
	}
	a := s.answers[0]
	s.answers = nil
	return a
}

func (s *seat) leaves(how session.Ending) {
	s.asks(session.Request{Kind: session.AskDetach, Ending: how})
}

// gets takes all there is and fails unless it is want; it acknowledges it.
func (s *seat) gets(want ...string) {
	s.w.t.Helper()
	var got []string
	for d, ok := s.link.Next(); ok; d, ok = s.link.Next() {
		got = append(got, show(d))
		if d.ID != 0 {
			s.link.Ask(&session.Request{Kind: session.AskAck, ID: d.ID})
		}
	}
	if !slices.Equal(got, want) {
		s.w.t.Errorf("%s gets %q, want %q", s.id, got, want)
	}
}

func show(d session.Delivery) string {
	what := fmt.Sprintf("%s=%s/%d", d.Topic, d.Payload, d.QoS)
	if d.Released {
		what = "released"
	}
	if d.Retain {
		what = "!" + what
	}
	if d.DUP {
		what += " again"
	}
	return what
}

func lastWill(payload string) *session.Will {
	return &session.Will{Topic: "will", Payload: []byte(payload), QoS: 1}
}

// The four kinds of CONNECT in the table of 1.2 §6.3, and the empty WILLTOPIC.
var (
	clean    = session.Request{CleanSession: true}
	resume   = session.Request{KeepWill: true}
	noWill   = session.Request{}
	withWill = session.Request{Will: lastWill("new")}
)

// TestWillTable is rules 10 and 11: what becomes of the subscription and of
// the will that a session has when its client connects again.
func TestWillTable(t *testing.T) {
	cleanWithWill := clean
	cleanWithWill.Will = lastWill("new")
	for _, tt := range []struct {
		name    string
		connect session.Request
		present bool
		will    string
	}{
		{"CleanSession and Will", cleanWithWill, false, "new"},
		{"CleanSession", clean, false, ""},
		{"Will", withWill, true, "new"},
		{"neither", resume, true, "old"},
		{"Will, and an empty WILLTOPIC", noWill, true, ""},
	} {
		for _, how := range []session.Ending{session.Clean, session.Lost, session.Shutdown} {
			t.Run(fmt.Sprint(tt.name, " after ", how), func(t *testing.T) {
				w := newWorld(t)
				s := w.seat("dev")
				s.opens(session.Request{Will: lastWill("old")})
				s.asks(session.Request{Kind: session.AskSubscribe, Topic: "cmd", QoS: 1})
				s.leaves(how)
				if how == session.Lost {
					w.hears("will=old/1")
				}
				w.hears()

				a := s.opens(tt.connect)
				will := ""
				if a.Will != nil {
					will = string(a.Will.Payload)
				}
				if a.Result != session.Done || a.Present != tt.present || will != tt.will {
					t.Errorf("answered %+v with the will %q, want present %v and the will %q", a, will, tt.present, tt.will)
				}
				w.Publish(session.Client{}, &session.Request{Topic: "cmd", Payload: []byte("1")})
				if tt.present {
					s.gets("cmd=1/0")
				} else {
					s.gets()
				}
				w.hears("cmd=1/0")
				s.leaves(session.Lost)
				if tt.will != "" {
					w.hears("will=" + tt.will + "/1")
				}
				w.hears()
			})
		}
	}
}

// TestWillSurvivesFiring is A13: each loss is one.
func TestWillSurvivesFiring(t *testing.T) {
	w := newWorld(t)
	s := w.seat("dev")
	s.opens(withWill)
	s.leaves(session.Lost)
	w.hears("will=new/1")
	for range 2 {
		if a := s.opens(resume); a.Will == nil || a.Will.Topic != "will" || a.Will.QoS != 1 {
			t.Fatalf("the will is %+v", a.Will)
		}
		s.leaves(session.Lost)
		w.hears("will=new/1")
	}
	one := clean
	one.Will = lastWill("clean")
	s.opens(one)
	s.leaves(session.Lost)
	w.hears("will=clean/1")
	if a := s.opens(resume); a.Will != nil || a.Present {
		t.Errorf("of a clean session there is left %+v", a)
	}
}

// TestWillUpdates: a will that is set while connected is the session's like
// one that came with CONNECT, also where CONNECT deleted one (rule 21).
func TestWillUpdates(t *testing.T) {
	for _, connect := range []session.Request{withWill, noWill, resume} {
		w := newWorld(t)
		s := w.seat("dev")
		s.opens(withWill)
		s.leaves(session.Clean)
		s.opens(connect)
		s.asks(session.Request{Kind: session.AskSetWill, Will: lastWill("update")})
		s.leaves(session.Clean)
		if a := s.opens(resume); a.Will == nil || string(a.Will.Payload) != "update" {
			t.Errorf("after a clean end the will is %+v", a.Will)
		}
		moved := w.seat("dev") // from another address: nothing has happened, rule 13
		moved.opens(connect)
		moved.asks(session.Request{Kind: session.AskSetWill, Will: lastWill("update")})
		s = w.seat("dev")
		s.opens(resume)
		w.hears()
		s.leaves(session.Lost)
		w.hears("will=update/1")
		s.opens(resume)
		s.asks(session.Request{Kind: session.AskSetWill})
		s.leaves(session.Lost)
		w.hears()
		if a := s.opens(resume); a.Will != nil {
			t.Errorf("a deleted will is back: %+v", a.Will)
		}
	}
}

// TestRefusals: why, in the session's words.
func TestRefusals(t *testing.T) {
	w := newWorld(t, func(o *core.Options) {
		o.MaxSessions = 2 // ann is one
		o.Authorize = func(who core.Identity, _ core.Action, topic string) bool {
			return who.Edge == "mqtt" || topic != "secret"
		}
	})
	s := w.seat("dev")
	for topic, want := range map[string]session.Result{
		"secret":   session.NotAuthorized,
		"$SYS/x":   session.NotAuthorized,
		"a/#":      session.Refused,
		"a\x1b[2J": session.Refused,
		"a\xff":    session.Refused,
		"fine":     session.Done,
	} {
		will := &session.Will{Topic: topic}
		if a := s.opens(session.Request{Will: will}); a.Result != want {
			t.Errorf("a will to %q: %v, want %v", topic, a.Result, want)
		}
		s.opens(noWill)
		for _, r := range []session.Request{
			{Kind: session.AskPublish, Topic: topic, QoS: 1, Tag: 7},
			{Kind: session.AskPublish, Topic: topic, QoS: 2, ID: 1, Tag: 8},
			{Kind: session.AskSetWill, Will: will, Tag: 9},
		} {
			if a := s.asks(r); a.Result != want || a.Kind != r.Kind || a.Tag != r.Tag {
				t.Errorf("%q: answered %+v, want %v", topic, a, want)
			}
		}
		s.asks(session.Request{Kind: session.AskSetWill})
		w.Publish(session.Client{}, &session.Request{Topic: topic})
	}
	w.hears("fine=/1", "fine=/2", "fine=/0")
	for filter, want := range map[string]session.Result{
		"secret": session.NotAuthorized, "a/#/b": session.Refused, "$share/g/a": session.Refused, "a/#": session.Done,
	} {
		if a := s.asks(session.Request{Kind: session.AskSubscribe, Topic: filter, QoS: 1}); a.Result != want {
			t.Errorf("subscribe to %q: %v, want %v", filter, a.Result, want)
		}
	}
	if a := w.seat("third").opens(clean); a.Result != session.Busy {
		t.Errorf("one too many: %v", a.Result)
	}
}

// TestRefusedSeatHoldsNothing: the connection that was to be opened again is
// lost with it.
func TestRefusedSeatHoldsNothing(t *testing.T) {
	w := newWorld(t)
	s := w.seat("dev")
	s.opens(withWill)
	if a := s.opens(session.Request{Will: &session.Will{Topic: "$denied"}}); a.Result != session.NotAuthorized {
		t.Fatalf("%+v", a)
	}
	w.hears("will=new/1")
	if n := w.core.Stats().Connected; n != 1 || s.kicked != 0 {
		t.Errorf("%d are connected, ann alone should be; kicked: %v", n, s.kicked)
	}
	if _, ok := s.link.Next(); ok {
		t.Error("a refused link has mail")
	}
}

// TestSameSeatIsNotKicked, and another is: in both cases what was in flight
// comes again first, as far as it had got.
func TestSameSeatIsNotKicked(t *testing.T) {
	w := newWorld(t)
	old := w.seat("dev")
	old.opens(noWill)
	old.asks(session.Request{Kind: session.AskSubscribe, Topic: "cmd", QoS: 2})
	for _, s := range "123" {
		w.ann.Publish(core.Message{Topic: "cmd", Payload: []byte(string(s)), QoS: 2}, uint16(s), func(error) {})
	}
	for range 2 {
		d, _ := old.link.Next()
		if string(d.Payload) == "1" {
			old.link.Ask(&session.Request{Kind: session.AskReceived, ID: d.ID})
		}
	}
	stale := old.link
	old.opens(resume)
	if _, ok := stale.Next(); ok || old.kicked != 0 {
		t.Errorf("the old link has mail: %v; the seat is kicked: %v", ok, old.kicked)
	}
	s := w.seat("dev")
	s.opens(resume)
	if old.kicked != session.TakenOver || s.kicked != 0 || s.mails != 1 {
		t.Errorf("kicked: old %v, new %v; told of mail %d times", old.kicked, s.kicked, s.mails)
	}
	if a := old.asks(session.Request{Kind: session.AskPublish, Topic: "a", QoS: 1}); a.Result != session.Busy {
		t.Errorf("a link that was taken over: %+v", a)
	}
	s.gets("released again", "cmd=2/2 again", "cmd=3/2")
	w.hears("cmd=1/2", "cmd=2/2", "cmd=3/2")

	phone := w.mqtt("dev") // one namespace of client ids
	if s.kicked != session.TakenOver || phone == nil {
		t.Errorf("an MQTT client of the same id: kicked %v", s.kicked)
	}
}

// TestQoS2FromASensor is rule 36: until PUBREL the same MsgId is the same
// message, also over another connection.
func TestQoS2FromASensor(t *testing.T) {
	w := newWorld(t)
	s := w.seat("dev")
	s.opens(noWill)
	publish := session.Request{Kind: session.AskPublish, Topic: "t", Payload: []byte("x"), QoS: 2, ID: 5}
	release := session.Request{Kind: session.AskRelease, ID: 5}
	s.asks(publish)
	s.asks(publish)
	s.opens(resume)
	s.asks(publish)
	w.hears("t=x/2")
	s.asks(release)
	s.asks(release)
	s.asks(publish)
	w.hears("t=x/2")
	s.opens(clean)
	s.asks(publish)
	w.hears("t=x/2")
}

// TestStateIsHandedBack, but not by a clean session.
func TestStateIsHandedBack(t *testing.T) {
	w := newWorld(t)
	s := w.seat("dev")
	state := []byte("topic ids")
	s.opens(noWill)
	s.asks(session.Request{Kind: session.AskSave, State: state})
	state[0] = 'X'
	s.leaves(session.Shutdown)
	if a := s.opens(resume); string(a.State) != "topic ids" {
		t.Errorf("the state is %q", a.State)
	}
	if a := s.opens(clean); a.State != nil {
		t.Errorf("the state of a clean session is %q", a.State)
	}
}

// TestPayloadIsCopied: it lies in a datagram whose memory is used again.
func TestPayloadIsCopied(t *testing.T) {
	w := newWorld(t)
	s := w.seat("dev")
	buf := []byte("old")
	s.opens(session.Request{Will: &session.Will{Topic: "w", Payload: buf}})
	s.asks(session.Request{Kind: session.AskPublish, Topic: "t", Payload: buf, QoS: 1, Retain: true})
	w.Publish(session.Client{}, &session.Request{Topic: "t", Payload: buf, QoS: mqttsn.QoS(0)})
	copy(buf, "new")
	s.leaves(session.Lost)
	w.hears("t=old/1", "t=old/0", "w=old/0")
	s.opens(noWill)
	s.asks(session.Request{Kind: session.AskSubscribe, Topic: "t", QoS: 1})
	s.gets("!t=old/1")
	s.asks(session.Request{Kind: session.AskUnsubscribe, Topic: "t"})
	s.asks(session.Request{Kind: session.AskUnsubscribe, Topic: "t"})
}

// A slow store answers when it is told to, once it is held.
type slow struct {
	store.Volatile
	held    bool
	waiting []func(error)
}

func (s *slow) Sync(then func(error)) {
	if s.held {
		s.waiting = append(s.waiting, then)
	} else {
		then(nil)
	}
}

func (s *slow) answers() {
	for len(s.waiting) > 0 {
		then := s.waiting[0]
		s.waiting = s.waiting[1:]
		then(nil)
	}
}

// TestEarlyRequests are carried out after the Open, in the order in which they
// were made, and ahead of those that come later.
func TestEarlyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(slow)
		w := newWorld(t, func(o *core.Options) { o.Store = disk })
		disk.held = true
		s := w.seat("dev")
		publishes := func(payload string) {
			s.link.Ask(&session.Request{Kind: session.AskPublish, Topic: "t", Payload: []byte(payload), QoS: 1, Tag: 7})
		}
		s.connects(noWill)
		publishes("1")
		publishes("2")
		s.link.Ask(&session.Request{Kind: session.AskSubscribe, Topic: "t", Tag: 8})
		if _, ok := s.link.Next(); ok || len(s.answers) != 0 {
			t.Fatalf("answered too early: %+v", s.answers)
		}
		disk.answers()
		publishes("3")
		synctest.Wait()
		disk.answers()
		w.hears("t=1/1", "t=2/1", "t=3/1")
		s.gets("t=3/0")
		var kinds []session.RequestKind
		for _, a := range s.answers {
			kinds = append(kinds, a.Kind)
		}
		want := []session.RequestKind{session.AskOpen, session.AskPublish, session.AskPublish, session.AskSubscribe, session.AskPublish}
		if !slices.Equal(kinds, want) {
			t.Errorf("answers to %v, want %v", kinds, want)
		}
	})
}

// TestEarlyRequestsOfTheRefused are answered, too.
func TestEarlyRequestsOfTheRefused(t *testing.T) {
	disk := new(slow)
	w := newWorld(t, func(o *core.Options) { o.Store, o.MaxSessions = disk, 1 })
	disk.held = true
	s := w.seat("dev")
	s.connects(noWill)
	s.link.Ask(&session.Request{Kind: session.AskDetach, Ending: session.Lost, Tag: 7})
	disk.answers()
	if len(s.answers) != 2 || s.answers[0].Result != session.Busy || s.answers[1].Tag != 7 {
		t.Errorf("answered %+v", s.answers)
	}
}
