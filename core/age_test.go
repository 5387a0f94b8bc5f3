package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core/store"
)

// agingWorld is one where messages may wait for an hour, with what it keeps.
func agingWorld(t *testing.T) (*world, *store.Memory, *bytes.Buffer) {
	m, log := store.NewMemory(), new(bytes.Buffer)
	return newWorld(t, func(o *Options) { o.Store, o.Log, o.Queue.Age, o.SysInterval = m, zerolog.New(log), time.Hour, 0 }), m, log
}

// messages are how many m keeps.
func messages(m *store.Memory) (n int) {
	m.Load(func(f store.Fact) error {
		if _, ok := f.(*store.Published); ok {
			n++
		}
		return nil
	})
	return n
}

// TestMessagesAge from their publication on, whatever restarts meanwhile. One
// that is delivered but not acknowledged, or retained, does not.
func TestMessagesAge(t *testing.T) {
	w, _, _ := agingWorld(t)
	w.comes("ann").subscribes("#").leaves(Clean)
	eve := w.comes("eve").subscribes("#")
	w.comes("bob").says(1, "!a=old")
	eve.Next()
	w.waits(30 * time.Minute)
	w.restarts()
	w.comes("bob").says(2, "a=new")
	w.waits(30*time.Minute - time.Second)
	if s := w.Stats(); s.Dropped.Aged != 0 || s.Waiting != 3 {
		t.Errorf("a second before: %+v", s)
	}
	w.waits(time.Second)
	w.comes("ann").gets("a=new/2")
	w.comes("eve").gets("a=old/1 again", "a=new/2")
	w.comes("zoe").subscribes("a").gets("!a=old/1")
	if s := w.Stats(); s.Dropped.Aged != 1 || s.Dropped.Total() != 1 || s.Waiting != 0 {
		t.Errorf("at the second: %+v", s)
	}
}

// TestQueuesAreSwept: what is too old leaves the memory and the store though
// nobody asks for it, and the log says so once.
func TestQueuesAreSwept(t *testing.T) {
	w, m, log := agingWorld(t)
	for i := range sweepStride + 10 {
		w.comes(fmt.Sprint(i)).subscribes("a").leaves(Clean)
	}
	bob := w.comes("bob")
	bob.says(1, "a=old")
	w.waits(time.Hour - time.Second)
	bob.says(1, "a=new")
	brief := message(1, "a=brief")
	brief.Expires = w.o.Now().Add(time.Second)
	bob.Publish(brief, 0, func(error) {})
	w.waits(time.Minute + 5*time.Second) // one sweep, and what it has to say
	const all = sweepStride + 10
	if s := w.Stats(); s.Waiting != all || s.Dropped.Aged != all || s.Dropped.Expired != all || messages(m) != 1 {
		t.Errorf("%d are kept; %+v", messages(m), s)
	}
	var line struct {
		Event, Client string
		Dropped       int
	}
	d, told := json.NewDecoder(log), 0
	for d.Decode(&line) == nil {
		if line.Event == "messages_too_old" && line.Client != "" {
			told += line.Dropped
		}
	}
	if told != all {
		t.Errorf("%d are logged: %s", told, log)
	}
	w.restarts()
	w.comes("0").gets("a=new/1")
}

// TestSweepsGoOnWhenTheClockIsSetBack: they are not put off by as much.
func TestSweepsGoOnWhenTheClockIsSetBack(t *testing.T) {
	w, m, _ := agingWorld(t)
	w.comes("ann").subscribes("a").leaves(Clean)
	bob := w.comes("bob")
	bob.says(1, "a=before")
	w.waits(time.Minute)
	w.now.Add(-int64(5 * time.Hour))
	bob.says(1, "a=after")
	w.waits(time.Hour + time.Hour/sweepsPerAge + time.Second)
	if n := messages(m); n != 1 {
		t.Errorf("%d messages are kept; the one that was published after is too old", n)
	}
	w.comes("ann").gets("a=before/1")
}

// TestSweptQueueHasRoom: a member of a group who could take no more gets what
// waits for another, who is away.
func TestSweptQueueHasRoom(t *testing.T) {
	w, _, _ := agingWorld(t)
	w.o.Queue.Messages = 2
	ann, bob := w.comes("ann").subscribes("$share/g/a"), w.comes("bob")
	bob.says(1, "a=1")
	bob.says(1, "a=2")
	w.waits(30 * time.Minute)
	zoe := w.comes("zoe").subscribes("$share/g/a")
	bob.says(1, "a=3")
	zoe.leaves(Clean)
	if c, _ := w.Client("zoe"); c.Waiting != 1 {
		t.Fatalf("for zoe, who is away, there waits %d", c.Waiting)
	}
	w.waits(30*time.Minute + time.Hour/sweepsPerAge)
	if c, _ := w.Client("ann"); c.Waiting != 1 {
		t.Errorf("for ann, who is there, there waits %d", c.Waiting)
	}
	ann.gets("a=3/1")
}

// TestNothingAgesWithoutBound on how long it may.
func TestNothingAgesWithoutBound(t *testing.T) {
	w, _, _ := agingWorld(t)
	w.o.Queue.Age = 0
	w.comes("ann").subscribes("a").leaves(Clean)
	w.comes("bob").says(1, "a=1")
	w.now.Add(int64(10_000 * time.Hour))
	w.waits(time.Minute)
	w.comes("ann").gets("a=1/1")
}
