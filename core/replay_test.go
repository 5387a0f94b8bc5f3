package core

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// paced is a world in which a replay has some at once and then some a second.
func paced(t *testing.T, atOnce int, rate float64) *world {
	return newWorld(t, func(o *Options) { o.Retained.ReplayAtOnce, o.Retained.ReplayRate = atOnce, rate })
}

// retains has t/0, t/1, … retained.
func (p *person) retains(topics int) {
	for i := range topics {
		p.says(1, fmt.Sprintf("!t/%03d=old", i))
	}
}

// takes returns how many messages there are to be had, acknowledging them.
func (p *person) takes() (n int) {
	for {
		d, ok := p.Next()
		if !ok {
			return n
		}
		n++
		p.Ack(d.ID)
	}
}

// TestHostile61ReplayIsPaced: the client gets some at once, then so
// many a second, is told each time, and gets them all.
func TestHostile61ReplayIsPaced(t *testing.T) {
	w := paced(t, 30, 20)
	w.comes("bob").retains(100)
	ann := w.comes("ann").subscribes("t/#:1")
	for second, want := range []int{30, 20, 20, 20, 10, 0, 0} {
		mailed := ann.mails.Swap(0) > 0
		if got := ann.takes(); got != want || mailed != (want > 0) {
			t.Errorf("second %d: %d messages, told %v; want %d", second, got, mailed, want)
		}
		w.waits(time.Second)
	}
}

// TestReplayOfFew: who subscribes to no more than what goes at once does not
// wait, however often and behind whatever else.
func TestReplayOfFew(t *testing.T) {
	w := paced(t, 30, 1)
	w.comes("bob").retains(30)
	w.comes("bob").says(1, "!other=1")
	ann := w.comes("ann")
	for range 3 {
		if got := ann.subscribes("t/#:1").takes(); got != 30 {
			t.Errorf("%d messages, want 30", got)
		}
	}
	if got := ann.subscribes("#:1").takes(); got != 30 { // and one waits
		t.Errorf("%d messages, want 30", got)
	}
	ann.mails.Store(0)
	ann.subscribes("other:1")
	if ann.mails.Load() != 1 {
		t.Error("a second subscription waits for the first")
	}
	ann.gets("!other=1/1")
	w.waits(time.Second)
	ann.gets("!other=1/1")
}

// TestReplayKeepsItsRateOnAverage: who is slow to take gets no more than a
// second's worth when it comes.
func TestReplayKeepsItsRateOnAverage(t *testing.T) {
	w := paced(t, 1, 10)
	w.comes("bob").retains(100)
	ann := w.comes("ann").subscribes("t/#:1")
	ann.takes()
	w.waits(time.Minute)
	if got := ann.takes(); got != 10 {
		t.Errorf("%d messages after a minute, want 10", got)
	}
	for i, want := range []int{0, 2, 3, 2} { // 2.5 in a quarter of a second
		if i > 0 {
			w.Tick(time.Unix(0, w.now.Add(int64(250*time.Millisecond))))
		}
		if got := ann.takes(); got != want {
			t.Errorf("%d messages in quarter %d, want %d", got, i, want)
		}
	}
}

// TestReplayAfterAStandstill: when no time was given for long, no more than a
// second's worth is made up for.
func TestReplayAfterAStandstill(t *testing.T) {
	w := paced(t, 1, 10)
	w.comes("bob").retains(100)
	ann := w.comes("ann").subscribes("t/#:1")
	ann.takes()
	w.Tick(time.Unix(0, w.now.Add(int64(time.Minute))))
	if got := ann.takes(); got != 10 {
		t.Errorf("%d messages, want 10", got)
	}
}

// TestLiveMessagesDoNotWaitForReplay: nor does one overtake what is retained
// for its own topic.
func TestLiveMessagesDoNotWaitForReplay(t *testing.T) {
	w := paced(t, 1, 2)
	bob := w.comes("bob")
	bob.retains(6)
	ann := w.comes("ann").subscribes("t/#:1")
	ann.gets("!t/000=old/1")
	bob.says(1, "t/003=live")
	bob.says(1, "!t/004=new")
	bob.says(1, "t/000=live")
	bob.says(1, "t/x=live")
	ann.gets("!t/003=old/1", "t/003=live/1", "t/004=new/1", "t/000=live/1", "t/x=live/1")
	bob.says(1, "t/003=live again")
	ann.gets("t/003=live again/1")
	w.waits(time.Second)
	ann.gets("!t/001=old/1") // the other of this second went ahead
	w.waits(time.Second)
	ann.gets("!t/002=old/1", "!t/005=old/1")
	w.waits(time.Minute)
	ann.gets()
}

// TestReplayThatWaitsEnds with its subscription, its session and its client.
func TestReplayThatWaitsEnds(t *testing.T) {
	w := paced(t, 1, 1)
	w.comes("bob").retains(10)
	ann, eve := w.comes("ann").subscribes("t/#:1"), w.opens("eve", SessionOptions{}).subscribes("t/#:1")
	tom := w.comes("tom").subscribes("t/#:1")
	for _, p := range []*person{ann, eve, tom} {
		p.takes()
	}
	ann.Unsubscribe("t/#", func(bool, error) {})
	eve.leaves(Clean)
	tom.leaves(Lost)
	w.waits(5 * time.Second)
	ann.gets()
	tom.opensAgain(SessionOptions{Expiry: Forever})
	if got := tom.takes(); got != 1 {
		t.Errorf("tom gets %d when he is back, want 1", got)
	}
	w.waits(10 * time.Second)
	if got := tom.takes(); got != 1 {
		t.Errorf("tom gets %d, want 1", got)
	}
	if n := len(w.pacing.clients); n > 1 {
		t.Errorf("%d clients are looked at, want tom alone", n)
	}
}

// TestNothingOldAfterNew publishes, subscribes and pulls at random: of one
// topic, numbers never fall, and in the end every retained message has come.
func TestNothingOldAfterNew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, func(o *Options) {
			o.Retained.ReplayAtOnce, o.Retained.ReplayRate = rapid.IntRange(1, 3).Draw(rt, "at once"), 1
			o.Queue.Messages = rapid.SampledFrom([]int{4, 1000}).Draw(rt, "queue")
		})
		topic := rapid.SampledFrom([]string{"a", "a/b", "a/c", "b/b", "b/c/d", "c"})
		filter := rapid.SampledFrom([]string{"#", "a/#", "+/b", "+/+", "b/c/d"})
		bob, ann := w.comes("bob"), w.comes("ann")
		n := 0
		last, missing := map[string]int{}, map[string]string{}
		pull := func() bool {
			d, ok := ann.Next()
			if !ok {
				return false
			}
			got, _ := strconv.Atoi(string(d.Payload))
			if got < last[d.Topic] {
				rt.Fatalf("%s after %d", show(d), last[d.Topic])
			}
			last[d.Topic] = got
			if missing[d.Topic] == string(d.Payload) {
				delete(missing, d.Topic)
			}
			ann.Ack(d.ID)
			return true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"publish": func(rt *rapid.T) {
				n++
				where := topic.Draw(rt, "topic")
				what := fmt.Sprintf("%s=%d", where, n)
				if rapid.Bool().Draw(rt, "retain") {
					what = "!" + what
					delete(missing, where)
				}
				bob.says(1, what)
			},
			"subscribe": func(rt *rapid.T) {
				f := filter.Draw(rt, "filter")
				ann.subscribes(f + ":1")
				clear(last) // what is retained comes again
				ms, _ := w.Retained(f)
				for m := range ms {
					missing[m.Topic] = string(m.Payload)
				}
			},
			"pull": func(*rapid.T) { pull() },
			"wait": func(*rapid.T) { w.waits(time.Second) },
		})
		for range 100 {
			for pull() {
			}
			w.waits(time.Second)
		}
		if len(missing) > 0 {
			rt.Fatalf("%v never came", missing)
		}
	})
}

// TestReplayRemembersNoMoreThanAStride of what it has sent ahead.
func TestReplayRemembersNoMoreThanAStride(t *testing.T) {
	const topics = stride + 100
	w := paced(t, 1, 1)
	bob := w.comes("bob")
	for i := range topics {
		bob.says(1, fmt.Sprint("!t/", i, "=old"))
	}
	ann := w.comes("ann").subscribes("t/#:1")
	for i := range topics {
		bob.says(1, fmt.Sprint("t/", i, "=new"))
		ann.takes()
	}
	ann.gets()
	c := w.clients.Find("ann")
	if n := len(c.mail.replays[0].ahead); n != stride {
		t.Errorf("%d are remembered, want %d", n, stride)
	}
	left := 0
	for range topics {
		w.waits(time.Second)
		left += ann.takes()
	}
	if want := topics - stride - 2; left != want { // one went at once, one was found already
		t.Errorf("%d came later, want %d", left, want)
	}
}
