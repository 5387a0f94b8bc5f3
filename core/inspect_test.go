package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/core/store"
)

// TestKick: a kick ends a connection as if it were lost, and with it a session
// that does not outlive it; a purge ends any session.
func TestKick(t *testing.T) {
	for _, tt := range []struct {
		name   string
		expiry time.Duration
		delay  time.Duration // of the will
		gone   bool          // before the kick
		purge  bool

		stays bool // the session
		will  bool // it is published at once
	}{
		{"unkept", 0, 0, false, false, false, true},
		{"unkept, purged", 0, 0, false, true, false, true},
		{"kept", Forever, 0, false, false, true, true},
		{"kept, purged", Forever, 0, false, true, false, true},
		{"will later", Forever, time.Hour, false, false, true, false},
		{"will later, purged", Forever, time.Hour, false, true, false, true},
		{"lost", Forever, 0, true, false, true, false}, // the will was published then
		{"lost, purged", Forever, 0, true, true, false, false},
		{"lost, will later", Forever, time.Hour, true, false, true, false},
		{"lost, will later, purged", Forever, time.Hour, true, true, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			disk := store.NewMemory()
			w := newWorld(t, func(o *Options) { o.Store = disk })
			bob := w.comes("bob").subscribes("w")
			ann := w.opens("ann", SessionOptions{Expiry: tt.expiry, Will: &Will{Message: message(1, "w=gone"), Delay: tt.delay}})
			ann.subscribes("t:1")
			bob.says(1, "t=waits")
			if tt.gone {
				ann.leaves(Lost)
			}
			bob.pulls()
			if !w.Kick("ann", tt.purge) {
				t.Error("there was no such client")
			}
			want := Kicked
			if tt.gone {
				want = 0
			}
			if got := KickReason(ann.kicked.Load()); got != want {
				t.Errorf("the connection was told %d, want %d", got, want)
			}
			if got := len(bob.pulls()) > 0; got != tt.will {
				t.Errorf("the will was published: %v", got)
			}
			if _, got := w.Client("ann"); got != tt.stays {
				t.Errorf("the session is there: %v", got)
			}
			if s := w.Stats(); !tt.stays && s.Waiting+s.WaitingBytes != 0 {
				t.Errorf("%d messages, %d octets wait for nobody", s.Waiting, s.WaitingBytes)
			}
			if err := ann.says(0, "t=2"); err != ErrDetached {
				t.Errorf("the connection can still publish: %v", err)
			}
			w.Broker = New(w.o) // and after a restart
			if err := w.Restore(); err != nil {
				t.Fatal(err)
			}
			if ann.opensAgain(SessionOptions{Expiry: Forever}); ann.present != tt.stays {
				t.Errorf("its session is present: %v", ann.present)
			}
			if tt.stays {
				ann.gets("t=waits/1")
			} else {
				ann.gets()
			}
		})
	}
}

func TestKickNobody(t *testing.T) {
	w := newWorld(t)
	if w.Kick("nobody", true) {
		t.Error("nobody was kicked")
	}
	ann := w.comes("ann")
	w.Kick("ann", true)
	if w.Kick("ann", false) {
		t.Error("a session was kicked that has ended")
	}
	if s := w.Stats(); s.Clients != 0 || s.Connected != 0 {
		t.Errorf("%+v", s)
	}
	ann.leaves(Clean) // the edge may be late
	if s := w.Stats(); s.Connected != 0 {
		t.Errorf("%+v", s)
	}
}

// TestClient: what operators are told of one.
func TestClient(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxInflight = 1 })
	bob := w.comes("bob")
	who := Identity{ClientID: "ann", User: "u", Edge: "mqtt", Listener: "plain", Remote: "10.0.0.1:7"}
	var ann *Session
	w.Open(who, SessionOptions{Expiry: time.Hour, Will: &Will{Message: message(1, "w=gone")}}, new(person),
		func(s *Session, _ bool, _ error) { ann = s })
	sub := Subscription{Filter: "t/+", QoS: 1, ID: 7, NoLocal: true, RetainAsPublished: true}
	ann.Subscribe(sub, func(QoS, error) {})
	for _, m := range []string{"t/a=1", "t/b=22", "t/c=333"} {
		bob.says(1, m)
	}
	ann.Next()
	info, ok := w.Client("ann")
	if !ok || info.Identity != who || !slices.Equal(info.Subscriptions, []Subscription{sub}) ||
		info.Will == nil || info.Will.Topic != "w" || info.Waiting != 2 || info.WaitingBytes != 11 || info.Inflight != 1 {
		t.Errorf("told %+v", info)
	}
	w.comes("Zoe")
	if got := w.ClientIDs(); !slices.Equal(got, []string{"Zoe", "ann", "bob"}) {
		t.Errorf("the clients are %q", got)
	}
	if _, ok := w.Client("nobody"); ok {
		t.Error("nobody is a client")
	}
}

// TestRetainedIsListed by filter; $SYS only to who asks for it.
func TestRetainedIsListed(t *testing.T) {
	w := newWorld(t)
	bob := w.comes("bob")
	for _, m := range []string{"!a=1", "!a/b=2", "!b/b=3", "!c=4", "!c="} {
		bob.says(1, m)
	}
	soon := message(1, "!a/c=5")
	soon.Expires = time.Unix(0, w.now.Load()).Add(time.Second / 2)
	bob.Publish(soon, 1, func(error) {})
	w.Tick(time.Unix(0, w.now.Load())) // $SYS is published
	w.now.Add(int64(time.Second))      // the last has expired, though no Tick says so
	for filter, want := range map[string]string{
		"#": "a/b=2 a=1 b/b=3", "a/#": "a/b=2 a=1", "+/b": "a/b=2 b/b=3", "a": "a=1", "c": "", "+": "a=1",
		"$SYS/broker/version": "$SYS/broker/version=dormouse",
	} {
		ms, err := w.Retained(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		var got []string
		for m := range ms {
			got = append(got, m.Topic+"="+string(m.Payload))
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	ms, _ := w.Retained("#")
	for m := range ms {
		if m.Publisher != "bob" {
			t.Errorf("%s was published by %q", m.Topic, m.Publisher)
		}
		break // the reader need not read all
	}
	if _, err := w.Retained("a/#/b"); err == nil {
		t.Error("a filter that is none was taken")
	}
}
