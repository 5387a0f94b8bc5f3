package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestFullQueueDropsAsItSays(t *testing.T) {
	for _, tt := range []struct {
		overflow Overflow
		says     string // QoS and number
		want     string
	}{
		{DropOldest, "0a 1b 1c 0d 1e", "1c 0d 1e"},
		{DropNewest, "0a 1b 1c 0d 1e", "0a 1b 1c"},
		{DropOldestQoS0First, "1a 0b 1c 1d", "1a 1c 1d"},
		{DropOldestQoS0First, "0a 1b 0c 1d 1e", "1b 1d 1e"},
		{DropOldestQoS0First, "1a 1b 1c 0d 1e", "1b 1c 1e"}, // d gives way to those owed
	} {
		t.Run(fmt.Sprint(tt.overflow, " ", tt.says), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Queue.Messages, o.Queue.Overflow = 3, tt.overflow })
			bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
			said := strings.Fields(tt.says)
			for _, s := range said {
				bob.says(QoS(s[0]-'0'), "t="+s)
			}
			var got []string
			for _, d := range ann.pulls() {
				got = append(got, string(d.Payload))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("kept %q, want %q", got, tt.want)
			}
			if n := w.Stats().Dropped.Overflow; int(n) != len(said)-len(got) {
				t.Errorf("%d counted as dropped, want %d", n, len(said)-len(got))
			}
		})
	}
}

// TestPromptEdgeMayBeLate: what is more than the queue has room for is not
// dropped at once if the edge takes messages as they come, but if it has not
// for a while; and not without a bound.
func TestPromptEdgeMayBeLate(t *testing.T) {
	const room = 10
	w := newWorld(t, func(o *Options) { o.Queue.Messages = room })
	bob := w.comes("bob")
	says := func(n int) {
		for i := range n {
			bob.says(QoS(i%2), "t=x")
		}
	}
	dropped := uint64(0)
	drops := func(n int, why string) {
		t.Helper()
		now := w.Stats().Dropped.Overflow
		if got := int(now - dropped); got != n {
			t.Errorf("%d are dropped, want %d: %s", got, n, why)
		}
		dropped = now
	}
	ann := w.opens("ann", SessionOptions{Expiry: Forever, Prompt: true}).subscribes("#")
	says(graceTimes * room)
	drops(0, "the edge may be late")
	says(1)
	drops(1, "but not by any number")
	if n := len(ann.pulls()); n != graceTimes*room {
		t.Errorf("%d came of %d", n, graceTimes*room)
	}
	ann.leaves(Lost)
	ann = w.opens("ann", SessionOptions{Expiry: Forever, Prompt: true})
	ann.takes()

	says(room + 1)
	w.waits(graceFor)
	says(1)
	drops(2, "nor for any time")
	ann.Next()
	says(1)
	drops(0, "there is room")
	says(1)
	drops(1, "who has been late is not granted it again")
	ann.takes()
	says(2 * room)
	drops(0, "who has caught up is")

	ann.leaves(Lost) // and with it what is of QoS 0
	bob.says(1, "t=x")
	drops(1, "nobody is there")
}

func TestQueueIsBoundedInOctets(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Bytes = 1024 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	half := strings.Repeat("x", 500)
	for range 3 {
		bob.says(1, "t="+half)
	}
	bob.says(1, "t="+half+half+half) // alone too big
	if n := len(ann.pulls()); n != 0 {
		t.Errorf("%d of a message too big for the queue and those before it", n)
	}
	bob.says(1, "t="+half)
	bob.says(1, "t="+half)
	if n := len(ann.pulls()); n != 2 {
		t.Errorf("%d messages of 501 octets in 1024, want 2", n)
	}
}

func TestWhatIsInFlightIsNeverDropped(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages, o.MaxInflight = 1, 4 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	for i := range 4 {
		bob.says(1, fmt.Sprint("t=", i))
		ann.Next()
	}
	for i := range 10 {
		bob.says(1, fmt.Sprint("t=later ", i))
	}
	if _, ok := ann.Next(); ok {
		t.Error("a fifth in flight")
	}
	ann = w.comes("ann")
	ann.gets("t=0/1 again", "t=1/1 again", "t=2/1 again", "t=3/1 again", "t=later 9/1")
}

// TestOverflowIsLogged at once and then once a minute, with the count so far,
// until nothing is dropped any more.
func TestOverflowIsLogged(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(o *Options) { o.Queue.Messages, o.Log = 1, zerolog.New(&log) })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	said := func(want ...int) {
		t.Helper()
		if strings.Contains(log.String(), "secret") {
			t.Errorf("a payload is logged: %s", &log)
		}
		var got []int
		for d := json.NewDecoder(&log); ; {
			var line struct {
				Event, Client string
				Dropped       int
			}
			if d.Decode(&line) != nil {
				break
			}
			if line.Event == "queue_overflow" && line.Client == "ann" {
				got = append(got, line.Dropped)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("logged as dropped so far: %v, want %v", got, want)
		}
		log.Reset()
	}
	for range 3 { // the first fits
		bob.says(1, "t=secret")
	}
	said(1)
	w.waits(59 * time.Second)
	said()
	bob.says(1, "t=secret")
	w.waits(time.Second)
	said(3) // though nothing is dropped now
	ann.pulls()
	for range 31 { // two a second
		bob.says(1, "t=secret")
		bob.says(1, "t=secret")
		w.waits(time.Second)
	}
	said()
	w.waits(29 * time.Second)
	said(64)
	w.waits(time.Hour)
	said()
	if n := len(w.overflow.watched); n != 0 {
		t.Errorf("%d clients are looked at an hour later", n)
	}
	bob.says(1, "t=secret")
	said(65)
	bob.says(1, "t=secret")
	ann.SetExpiry(0)
	ann.leaves(Clean)
	w.waits(time.Minute)
	said(66) // of a session that has ended
}

// TestOverflowIsCountedPerClient: the count outlives what is in the queue, and
// is the client's alone.
func TestOverflowIsCountedPerClient(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages = 100 })
	bob, ann, eve := w.comes("bob"), w.comes("ann").subscribes("#"), w.comes("eve").subscribes("t")
	for range 150 { // more than a mailbox keeps room for
		bob.says(1, "t=1")
		eve.takes()
	}
	for _, p := range []*person{ann, eve} {
		p.takes()
		p.leaves(Lost)
	}
	for id, want := range map[string]uint64{"ann": 50, "eve": 0, "bob": 0} {
		if info, _ := w.Client(id); info.Dropped != want || info.Waiting != 0 {
			t.Errorf("%s: %d dropped, want %d; %d wait", id, info.Dropped, want, info.Waiting)
		}
	}
}

func TestMailIsToldOnce(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	mails := func(want int32, when string) {
		t.Helper()
		if got := ann.mails.Swap(0); got != want {
			t.Errorf("%s: told %d times, want %d", when, got, want)
		}
	}
	mails(0, "nothing there")
	bob.says(1, "a=1")
	bob.says(1, "a=2")
	mails(1, "two messages")
	ann.Next()
	bob.says(1, "a=3")
	mails(0, "Next has not returned false since")
	ann.gets("a=2/1", "a=3/1")
	bob.says(0, "a=4")
	mails(1, "one more")

	ann.gets("a=4")
	ann.leaves(Lost)
	bob.says(1, "a=5")
	mails(0, "nobody there")
	ann.opensAgain(SessionOptions{Expiry: Forever})
	mails(1, "opened with mail")
	ann.gets("a=1/1 again", "a=5/1")
	ann.leaves(Lost)
	ann.opensAgain(SessionOptions{Expiry: Forever})
	mails(0, "opened without mail")
}

func TestMailWhenTheWindowOpens(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxInflight = 1 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	bob.says(1, "a=1")
	bob.says(1, "a=2")
	first, _ := ann.Next()
	if _, ok := ann.Next(); ok {
		t.Fatal("two in flight")
	}
	ann.mails.Store(0)
	ann.Ack(first.ID)
	if ann.mails.Load() != 1 {
		t.Error("nobody said that the window is open")
	}
	ann.gets("a=2/1")
}

func TestExpiredMessagesAreNotDelivered(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	m := message(1, "!a=short")
	m.Expires = w.o.Now().Add(time.Minute)
	bob.Publish(m, 1, func(error) {})
	bob.says(1, "a=long")
	w.waits(time.Minute)
	ann.gets("a=long/1")
	if s := w.Stats(); s.Dropped.Expired != 1 || s.Retained != 0 {
		t.Errorf("%+v", s)
	}
	w.comes("eve").subscribes("#").gets()
}

func TestQoS0WaitsOnlyForThoseWhoAreThere(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	bob.says(0, "a=1")
	bob.says(1, "a=2")
	ann.leaves(Lost)
	bob.says(0, "a=3")
	w.comes("ann").gets("a=2/1")
	if n := w.Stats().Dropped.Detached; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

// TestQoS2IsPublishedOnce: a repeat is answered, not published, until PUBREL.
func TestQoS2IsPublishedOnce(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.comes("ann").subscribes("#"), w.comes("bob")
	answers := 0
	publish := func(id uint16) { bob.Publish(message(2, "a=1"), id, func(error) { answers++ }) }
	publish(7)
	publish(7)
	bob = w.comes("bob") // and over a reconnect
	publish(7)
	ann.gets("a=1/2")
	publish(8)
	ann.gets("a=1/2")
	bob.Release(7, func(error) { answers++ })
	bob.Release(7, func(error) { answers++ })
	publish(7)
	ann.gets("a=1/2")
	if answers != 7 {
		t.Errorf("%d of 7 calls answered", answers)
	}
}

func TestPacketIdentifiersSkipThoseInFlight(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	bob.says(1, "a=held")
	held, _ := ann.Next()
	seen := map[uint16]bool{}
	for range runIDs {
		bob.says(1, "a=x")
		d, _ := ann.Next()
		seen[d.ID] = true
		ann.Ack(d.ID)
	}
	bob.says(1, "a=x")
	if d, _ := ann.Next(); d.ID == 0 || d.ID == held.ID || seen[0] || seen[held.ID] || len(seen) != runIDs-2 {
		t.Errorf("identifier %d beside %d after %d others", d.ID, held.ID, len(seen))
	}
}

func TestStrayAcknowledgementsChangeNothing(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	ann.Ack(1)
	bob.says(2, "a=1")
	d, _ := ann.Next()
	ann.Ack(d.ID + 1)
	ann.Received(d.ID+1, func(bool) {})
	ann.Received(0, func(bool) {})
	if n := w.Stats().StrayAcks; n != 4 {
		t.Errorf("%d stray, want 4", n)
	}
	ann.Ack(d.ID)
	ann.Ack(d.ID)
	w.comes("ann").gets()
}

func TestPublishIsRefused(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Authorize = func(who Identity, a Access) bool { return a.Topic != "secret" }
	})
	bob := w.comes("bob")
	for topic, want := range map[string]error{
		"$SYS/x": ErrNotAuthorized,
		"$":      ErrNotAuthorized,
		"secret": ErrNotAuthorized,
		"":       ErrInvalidTopic,
		"a/#":    ErrInvalidTopic,
		"a\x00":  ErrInvalidTopic,
		"fine":   nil,
	} {
		if err := bob.says(1, topic+"=x"); !errors.Is(err, want) {
			t.Errorf("publish to %q: %v, want %v", topic, err, want)
		}
		w.Publish(Identity{ClientID: "-"}, message(0, topic+"=x"), func(err error) {
			if !errors.Is(err, want) {
				t.Errorf("publish to %q without a session: %v, want %v", topic, err, want)
			}
		})
	}
	if d := w.Stats().Dropped; d.Unauthorized != 6 || d.Invalid != 6 {
		t.Errorf("%+v", d)
	}
}

// TestLeavingDropsOnlyQoS0: what is owed stays, in order.
func TestLeavingDropsOnlyQoS0(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Messages = 7 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	for i := range 10 { // three of QoS 0 go to make room
		bob.says(QoS(i%2), fmt.Sprint("a=", i))
	}
	ann.leaves(Lost)
	for i := 11; i < 14; i++ {
		bob.says(1, fmt.Sprint("a=", i))
	}
	if s := w.Stats(); s.Dropped.Overflow != 4 || s.Dropped.Detached != 2 {
		t.Errorf("%+v", s.Dropped)
	}
	w.comes("ann").gets("a=3/1", "a=5/1", "a=7/1", "a=9/1", "a=11/1", "a=12/1", "a=13/1")
}

func TestEmptyQueueCostsLittleAfterItOverflowed(t *testing.T) {
	w := newWorld(t)
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	for range w.o.Queue.Messages + 1 {
		bob.says(1, "a=1")
	}
	for d, ok := ann.Next(); ok; d, ok = ann.Next() {
		ann.Ack(d.ID)
	}
	if n := cap(ann.client.mail.waiting); n > 64 {
		t.Errorf("an empty queue keeps room for %d messages", n)
	}
}

// TestPropertiesCountAgainstTheBounds: user properties are no way around them.
func TestPropertiesCountAgainstTheBounds(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Queue.Bytes, o.Retained.Bytes = 1024, 1024 })
	bob, ann := w.comes("bob"), w.comes("ann").subscribes("#")
	says := func(what string) {
		m := message(1, what)
		m.Properties = &Properties{User: []UserProperty{{Key: "k", Value: strings.Repeat("v", 450)}}}
		bob.Publish(m, 0, func(error) {})
	}
	for i := range 3 {
		says(fmt.Sprint("t=", i))
	}
	ann.gets("t=1/1", "t=2/1")
	for i := range 3 {
		says(fmt.Sprint("!t/", i, "=x"))
	}
	if s := w.Stats(); s.Retained != 2 || s.Dropped.Quota != 1 {
		t.Errorf("%+v", s)
	}
	m := message(1, "!t/3=x")
	m.Properties = &Properties{User: make([]UserProperty, 100)} // say nothing, and take room all the same
	bob.Publish(m, 0, func(error) {})
	if s := w.Stats(); s.Retained != 2 || s.Dropped.Quota != 2 {
		t.Errorf("%+v", s)
	}
	bob.says(1, "!t/0=")
	bob.says(1, "!t/1=")
	if n := w.Stats().RetainedBytes; n != 0 {
		t.Errorf("%d octets are left of nothing", n)
	}
}
