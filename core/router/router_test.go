package router

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var limits = Limits{Length: 1024, Levels: 32, Wildcards: 8}

func TestGrammar(t *testing.T) {
	deep := strings.Repeat("/", 32)
	for _, tt := range []struct {
		s             string
		topic, filter bool
	}{
		{"a", true, true},
		{"/", true, true},
		{"a//b/", true, true},
		{"$SYS/x", true, true},
		{"Zähler/温度/🌡", true, true},
		{"+", false, true},
		{"#", false, true},
		{"a/+/b/#", false, true},
		{"+/+/+/+/+/+/+/#", false, true},
		{"", false, false},
		{"a+/b", false, false},
		{"a/#/b", false, false},
		{"a#", false, false},
		{"+/+/+/+/+/+/+/+/#", false, false}, // 9 wildcards
		{deep[1:], true, true},
		{deep, false, false}, // 33 levels
		{strings.Repeat("x", 1024), true, true},
		{strings.Repeat("x", 1025), false, false},
		{"a\x00b", false, false},
		{"a\nb", false, false},
		{"\u0085", false, false},
		{"\xff", false, false},
		{"\xed\xa0\x80", false, false}, // a surrogate
		{"\xc0\xaf", false, false},     // "/" over-long
		{"\ufffd", true, true},         // the replacement character itself is one
		{"\ufffe", false, false},
	} {
		for name, check := range map[string]func(string, Limits) error{"ValidTopic": ValidTopic, "ValidFilter": ValidFilter} {
			want := tt.topic
			if name == "ValidFilter" {
				want = tt.filter
			}
			err := check(tt.s, limits)
			if (err == nil) != want || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s(%.40q) = %v, want valid: %v", name, tt.s, err, want)
			}
		}
	}
}

// matches is MQTT 5 §4.7 as plainly as it can be put.
func matches(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	f, s := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		switch {
		case level == "#":
			return true
		case i >= len(s) || level != "+" && level != s[i]:
			return false
		}
	}
	return len(f) == len(s) || len(f) == len(s)+1 && f[len(f)-1] == "#"
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		filter, topic string
		want          bool
	}{
		{"sport/#", "sport", true},
		{"sport/tennis/+", "sport/tennis", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"+", "/finance", false},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true},
		{"$SYS/+", "$SYS/x", true},
	} {
		if got := matches(tt.filter, tt.topic); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.filter, tt.topic, got)
		}
		r := New[int, int]()
		r.Add(tt.filter, 1, 0)
		if got := len(match(r, tt.topic)) == 1; got != tt.want {
			t.Errorf("Router with %q matches %q: %v", tt.filter, tt.topic, got)
		}
		var topics Topics[string]
		*topics.Value(tt.topic) = tt.topic
		if got := len(walk(topics.Walk(tt.filter))) == 1; got != tt.want {
			t.Errorf("Topics with %q matches %q: %v", tt.topic, tt.filter, got)
		}
	}
}

func match[K cmp.Ordered](r *Router[K, int], topic string) (got []string) {
	r.Match(topic, func(entries []Entry[K, int]) {
		for _, e := range entries {
			got = append(got, fmt.Sprint(e.Who, ":", e.What))
		}
	})
	slices.Sort(got)
	return got
}

func walk(c *Cursor[string]) (got []string) {
	for !c.Done() {
		if v, ok := c.Next(2); ok {
			got = append(got, v)
		}
	}
	slices.Sort(got)
	return got
}

var (
	level  = rapid.SampledFrom([]string{"a", "b", "", "$x"})
	topics = rapid.Map(rapid.SliceOfN(level, 1, 4), func(s []string) string {
		return cmp.Or(strings.Join(s, "/"), "/")
	})
	filters = rapid.Custom(func(t *rapid.T) string {
		s := rapid.SliceOfN(rapid.OneOf(level, rapid.Just("+")), 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "deep") {
			s = append(s[:len(s)-1], "#")
		}
		return cmp.Or(strings.Join(s, "/"), "/")
	})
)

// TestRouterIsTheNaiveMatcher compares with a list of filters that is searched
// from end to end.
func TestRouterIsTheNaiveMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sub struct {
			filter string
			who    int
		}
		r, model := New[int, int](), map[sub]int{}
		subs := rapid.Custom(func(t *rapid.T) sub {
			return sub{filters.Draw(t, "filter"), rapid.IntRange(0, 3).Draw(t, "who")}
		})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s, what := subs.Draw(t, "sub"), rapid.IntRange(0, 2).Draw(t, "what")
				_, had := model[s]
				if r.Add(s.filter, s.who, what) == had {
					t.Fatalf("Add(%v): new = %v", s, had)
				}
				model[s] = what
			},
			"remove": func(t *rapid.T) {
				s := subs.Draw(t, "sub")
				_, had := model[s]
				if r.Remove(s.filter, s.who) != had {
					t.Fatalf("Remove(%v) = %v", s, !had)
				}
				delete(model, s)
			},
			"": func(t *rapid.T) {
				topic := topics.Draw(t, "topic")
				var want []string
				for s, what := range model {
					if matches(s.filter, topic) {
						want = append(want, fmt.Sprint(s.who, ":", what))
					}
				}
				slices.Sort(want)
				if got := match(r, topic); !slices.Equal(got, want) {
					t.Fatalf("Match(%q) = %v, want %v of %v", topic, got, want, model)
				}
				if r.Len() != len(model) {
					t.Fatalf("Len = %d, want %d", r.Len(), len(model))
				}
			},
		})
		for s := range model {
			r.Remove(s.filter, s.who)
		}
		if r.exact.Len() != 0 || r.root.next != nil {
			t.Fatalf("empty, it still holds %d literal filters, %v", r.exact.Len(), r.root.next)
		}
	})
}

// TestCrowdLeaves has a filter with many subscribers, who leave in any order.
func TestCrowdLeaves(t *testing.T) {
	r := New[int, int]()
	const crowd = 5 * long
	for i := range crowd {
		r.Add("#", i, i)
	}
	left := crowd
	for i := 0; left > 0; i = (i + 7) % crowd {
		if r.Remove("#", i) {
			left--
		}
		if got := len(match(r, "x")); got != left {
			t.Fatalf("%d are left, Match finds %d", left, got)
		}
	}
}

// TestTopicsAreWalkedByFilter has the set change while it is walked: what is
// there throughout is met once, what never was there is not.
func TestTopicsAreWalkedByFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set Topics[string]
		model := map[string]bool{}
		for _, topic := range rapid.SliceOfN(topics, 0, 20).Draw(t, "topics") {
			*set.Value(topic) = topic
			model[topic] = true
		}
		if set.Len() != len(model) {
			t.Fatalf("Len = %d, want %d", set.Len(), len(model))
		}
		filter := filters.Draw(t, "filter")
		throughout := map[string]bool{}
		for topic := range model {
			throughout[topic] = matches(filter, topic)
		}
		met := map[string]int{}
		for c := set.Walk(filter); !c.Done(); {
			if topic, ok := c.Next(rapid.IntRange(1, 4).Draw(t, "steps")); ok {
				met[topic]++
				if !matches(filter, topic) {
					t.Fatalf("walking %q meets %q", filter, topic)
				}
			}
			for topic, here := range throughout {
				if here && c.Ahead(topic) == (met[topic] > 0) {
					t.Fatalf("walking %q, which has met %v: Ahead(%q) is %v", filter, met, topic, c.Ahead(topic))
				}
			}
			topic := topics.Draw(t, "change")
			if c.Ahead(topic) && !(model[topic] && matches(filter, topic)) {
				t.Fatalf("walking %q, %q is ahead", filter, topic)
			}
			throughout[topic] = false
			if model[topic] {
				delete(model, topic)
				if !set.Delete(topic) || set.Delete(topic) {
					t.Fatalf("Delete(%q)", topic)
				}
			} else {
				*set.Value(topic) = topic
				model[topic] = true
			}
			if _, ok := set.Find(topic); ok != model[topic] {
				t.Fatalf("Find(%q) = %v", topic, ok)
			}
		}
		for topic, here := range throughout {
			if here && met[topic] != 1 {
				t.Fatalf("walking %q meets %q %d times", filter, topic, met[topic])
			}
		}
		for topic := range model {
			set.Delete(topic)
		}
		if set.Len() != 0 || set.root.branches != nil {
			t.Fatalf("empty, it still holds %d topics, %v", set.Len(), set.root.branches)
		}
	})
}

// crowded is a router with many filters, and topics to match.
func crowded() (r *Router[int, int], topics []string) {
	r = New[int, int]()
	for i := range 100_000 {
		r.Add(fmt.Sprintf("sensors/%d/cmd", i), i, 0)
	}
	for i := range 1000 {
		r.Add(fmt.Sprintf("sensors/%d/#", i), i, 0)
		r.Add(fmt.Sprintf("+/%d/temperature", i), i, 0)
	}
	return r, []string{"sensors/99999/cmd", "sensors/500/temperature", "nobody/wants/this"}
}

func BenchmarkMatch(b *testing.B) {
	r, topics := crowded()
	for _, topic := range topics {
		b.Run(strings.ReplaceAll(topic, "/", "."), func(b *testing.B) {
			n := 0
			visit := func(e []Entry[int, int]) { n += len(e) }
			b.ReportAllocs()
			for b.Loop() {
				r.Match(topic, visit)
			}
			b.ReportMetric(float64(n)/float64(b.N), "found/op")
		})
	}
}

// TestMatchAllocatesNothing: every message is matched.
func TestMatchAllocatesNothing(t *testing.T) {
	r, topics := crowded()
	for _, topic := range topics {
		if n := testing.AllocsPerRun(100, func() { r.Match(topic, func([]Entry[int, int]) {}) }); n > 0 {
			t.Errorf("to match %s takes %v allocations", topic, n)
		}
	}
}

// BenchmarkWalk takes all of one sensor's topics out of a million.
func BenchmarkWalk(b *testing.B) {
	var set Topics[string]
	for i := range 1_000_000 {
		topic := fmt.Sprintf("sensors/%d/%d", i/10, i%10)
		*set.Value(topic) = topic
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := walk(set.Walk("sensors/4711/+")); len(got) != 10 {
			b.Fatal(got)
		}
	}
}
