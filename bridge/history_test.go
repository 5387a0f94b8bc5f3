package bridge_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A history is what clients of a broker did and saw. Afterwards check says
// which of MQTT's promises were broken. All stamps are of one clock, which
// counts the events: of two, the one with the smaller stamp came first.
type history struct {
	mu    sync.Mutex
	clock int64

	publications []*publication
	subscribers  []*subscriber
	wills        []*testament
	horizon      int64             // what was sent later need not have come; zero: none
	kept         map[string]string // at the end: retained payloads by topic
}

// A publication is one message. Its payload is its own, but for that of a
// message that clears a retained one, which is empty.
type publication struct {
	who, topic, payload string
	qos                 byte
	retain              bool
	again               bool // at QoS 1 it was sent more than once, or may have been
	via                 int  // which of its publisher's connections it was first sent over
	sent                int64
	done                int64 // when the broker took it on itself; zero: it never said so
}

// A subscriber is one client's subscriptions and what it got. What it got
// twice by the rules of QoS 2 is there once.
type subscriber struct {
	who   string
	crew  bool // it shares all its subscriptions, but for its farewell, with the others of the crew
	subs  []*interest
	got   []reception
	still bool // its session lasted until all was delivered
}

// An interest is one subscription while nothing about it changed. It began
// between asked and granted, and ended between leaving and left. Zero: it has
// not come to that.
type interest struct {
	filter                        string
	qos                           byte
	asked, granted, leaving, left int64
}

type reception struct {
	topic, payload string
	qos            byte
	retain, dup    bool
	via            int // over which of its connections, if it forgets with each what it has by QoS 2
	at             int64
}

// A testament is a will of one connection.
type testament struct {
	payload string
	fires   bool // the connection was lost
}

func (h *history) now() int64 {
	h.clock++
	return h.clock
}

// stamped does something with the time it is.
func (h *history) stamped(do func(now int64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do(h.now())
}

// check returns what is wrong, with the payloads concerned.
func (h *history) check() (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	known := map[string]*publication{}
	order := map[*publication]int{}
	for i, p := range h.publications {
		known[p.payload], order[p] = p, i
	}
	for _, s := range h.subscribers {
		h.checkWhatCame(s, known, order, complain)
		h.checkWhatShould(s, complain)
	}
	h.checkCrew(complain)
	h.checkWills(complain)
	h.checkRetained(complain)
	return wrong
}

// checkWhatCame: only what was published and wanted, once at QoS 2, again at
// QoS 1 only as such, and each publisher's messages to a topic in order.
func (h *history) checkWhatCame(s *subscriber, known map[string]*publication, order map[*publication]int, complain func(string, ...any)) {
	type stream struct {
		who, topic string
		qos        byte
	}
	seen := map[string]int{} // over which connection
	last := map[stream]*publication{}
	for _, r := range s.got {
		p := known[r.payload]
		switch {
		case r.payload == "" && !r.retain:
			continue // a retained message was cleared: these are all alike
		case p == nil && h.isWill(r.payload):
			continue
		case p == nil:
			complain("%s got %q on %s, which nobody published", s.who, r.payload, r.topic)
			continue
		case p.topic != r.topic:
			complain("%s got %s on %s instead of %s", s.who, r.payload, r.topic, p.topic)
		case !s.wanted(r, p):
			complain("%s got %s on %s without a subscription", s.who, r.payload, r.topic)
		case r.qos > p.qos || !r.retain && r.qos < min(p.qos, s.surely(p)):
			complain("%s got %s at QoS %d; it was published at %d and wanted at %d", s.who, r.payload, r.qos, p.qos, s.surely(p))
		}
		if r.retain || s.crew {
			continue // for a new subscription: once for each; of the crew see checkCrew
		}
		if via, again := seen[r.payload]; again {
			if p.qos != 1 && (r.qos != 1 && r.via == via || !r.dup) || p.qos == 1 && !p.again && !r.dup {
				complain("%s got %s again, at QoS %d, DUP %v", s.who, r.payload, r.qos, r.dup)
			}
			continue
		}
		seen[r.payload] = r.via
		of := stream{p.who, p.topic, p.qos}
		// What was sent over a connection that the client gave up before it was
		// acknowledged may be overtaken by what comes over the next.
		if before := last[of]; before != nil && order[before] > order[p] && (before.via == p.via || p.done > 0) {
			complain("%s got %s after %s", s.who, p.payload, before.payload)
		}
		last[of] = p
	}
}

func (s *subscriber) wanted(r reception, p *publication) bool {
	return slices.ContainsFunc(s.subs, func(i *interest) bool {
		return matches(i.filter, p.topic) && i.asked < r.at && (i.left == 0 || p.sent < i.left || r.retain)
	})
}

// surely is the QoS at which s surely wanted p.
func (s *subscriber) surely(p *publication) (qos byte) {
	for _, i := range s.subs {
		if i.granted != 0 && i.granted < p.sent && i.leaving == 0 && matches(i.filter, p.topic) {
			qos = max(qos, i.qos)
		}
	}
	return qos
}

// checkWhatShould: all that the broker took on itself while the subscriber
// surely wanted it.
func (h *history) checkWhatShould(s *subscriber, complain func(string, ...any)) {
	if !s.still || s.crew {
		return
	}
	got := map[string]bool{}
	for _, r := range s.got {
		got[r.payload] = true
	}
	for _, p := range h.publications {
		if p.qos == 0 || p.done == 0 || p.payload == "" || got[p.payload] || h.horizon > 0 && p.sent > h.horizon {
			continue
		}
		if s.surely(p) > 0 {
			complain("%s never got %s on %s", s.who, p.payload, p.topic)
		}
	}
}

// checkCrew: one of those who share a subscription to all there is gets what
// the broker took on itself once all of them had subscribed, and at QoS 2 only
// one, once. They keep their sessions.
func (h *history) checkCrew(complain func(string, ...any)) {
	var since int64
	came := map[string]int{}
	how := map[string][]string{}
	for _, s := range h.subscribers {
		if !s.crew {
			continue
		}
		since = max(since, s.subs[0].granted)
		seen := map[string]int{}
		for _, r := range s.got {
			via, again := seen[r.payload]
			if strings.HasPrefix(r.topic, farewells) || again && r.dup && r.via != via {
				continue
			}
			seen[r.payload] = r.via
			came[r.payload]++
			how[r.payload] = append(how[r.payload], fmt.Sprintf("%s at %d over its connection %d, QoS %d, DUP %v", s.who, r.at, r.via, r.qos, r.dup))
		}
	}
	for _, p := range h.publications {
		n := came[p.payload]
		switch {
		case since == 0 || p.payload == "" || p.qos == 0 || p.sent < since || h.horizon > 0 && p.sent > h.horizon:
		case p.done > 0 && n == 0:
			complain("none of the crew got %s on %s", p.payload, p.topic)
		case p.qos == 2 && n > 1:
			complain("the crew got %s %d times: %s", p.payload, n, strings.Join(how[p.payload], "; "))
		}
	}
}

func (h *history) isWill(payload string) bool {
	return slices.ContainsFunc(h.wills, func(w *testament) bool { return w.payload == payload })
}

// checkWills looks at what the first subscriber got, who wants them all.
func (h *history) checkWills(complain func(string, ...any)) {
	came := map[string]int{}
	for _, r := range h.subscribers[0].got {
		came[r.payload]++
	}
	for _, w := range h.wills {
		if n := came[w.payload]; n > 1 || (n == 1) != w.fires {
			complain("will %s came %d times; the connection was lost: %v", w.payload, n, w.fires)
		}
	}
}

// checkRetained: each topic has a message that may have been its last.
func (h *history) checkRetained(complain func(string, ...any)) {
	topics := map[string][]*publication{}
	for _, p := range h.publications {
		if p.retain {
			topics[p.topic] = append(topics[p.topic], p)
		}
	}
	for topic := range h.kept {
		if topics[topic] == nil {
			complain("%q is retained on %s, where nobody retained anything", h.kept[topic], topic)
		}
	}
	for topic, all := range topics {
		var may []string
		certain := false // one of them surely took effect
		for _, p := range all {
			certain = certain || p.done != 0
			if !slices.ContainsFunc(all, func(later *publication) bool {
				return p.done != 0 && later.done != 0 && p.done < later.sent
			}) {
				may = append(may, p.payload)
			}
		}
		if !certain {
			may = append(may, "")
		}
		if got := h.kept[topic]; !slices.Contains(may, got) {
			complain("%q is retained on %s; it may be one of %q", got, topic, may)
		}
	}
}

// matches is MQTT 5 §4.7, for filters without a leading dollar sign.
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		switch {
		case level == "#":
			return true
		case i >= len(t) || level != "+" && level != t[i]:
			return false
		}
	}
	return len(f) == len(t)
}

// TestHistoryChecker shows it histories of brokers that cheat, each once.
func TestHistoryChecker(t *testing.T) {
	// Two messages at QoS 2, the second retained; a witness of all, and a
	// client that was there from the second message on and got it as retained
	// and as new.
	honest := func() *history {
		all := &interest{filter: "#", qos: 2, asked: 1, granted: 2}
		late := &interest{filter: "a/+", qos: 1, asked: 5, granted: 6}
		return &history{
			publications: []*publication{
				{who: "p", topic: "a/b", payload: "p1", qos: 2, sent: 3, done: 4},
				{who: "p", topic: "a/b", payload: "p2", qos: 2, retain: true, sent: 7, done: 10},
				{who: "p", topic: "c", payload: "p3", qos: 0, sent: 11},
			},
			subscribers: []*subscriber{
				{who: "witness", still: true, subs: []*interest{all}, got: []reception{
					{topic: "a/b", payload: "p1", qos: 2, at: 8}, {topic: "a/b", payload: "p2", qos: 2, at: 9},
					{topic: "will", payload: "w1", qos: 1, at: 12},
				}},
				{who: "late", still: true, subs: []*interest{late}, got: []reception{
					{topic: "a/b", payload: "p2", qos: 1, at: 13},
					{topic: "a/b", payload: "p2", qos: 1, dup: true, at: 14},
				}},
				{who: "mate", crew: true, subs: []*interest{{filter: "#", qos: 2, asked: 1, granted: 2}}, got: []reception{
					{topic: "a/b", payload: "p2", qos: 2, at: 15}, {topic: "a/b", payload: "p1", qos: 2, at: 16},
				}},
				{who: "idler", crew: true, subs: []*interest{{filter: "#", qos: 2, asked: 1, granted: 2}}},
			},
			wills: []*testament{{payload: "w1", fires: true}, {payload: "w2"}},
			kept:  map[string]string{"a/b": "p2"},
		}
	}
	if wrong := honest().check(); wrong != nil {
		t.Fatalf("an honest history is blamed: %q", wrong)
	}
	for name, cheat := range map[string]func(h *history, witness, late *subscriber){
		"lost":                   func(_ *history, _, s *subscriber) { s.got = nil },
		"lost at QoS 2":          func(_ *history, s, _ *subscriber) { s.got = s.got[1:] },
		"twice at QoS 2":         func(_ *history, s, _ *subscriber) { s.got = append(s.got, s.got[1]) },
		"at a lower QoS":         func(_ *history, s, _ *subscriber) { s.got[1].qos = 1 },
		"at a higher QoS":        func(h *history, _, _ *subscriber) { h.publications[1].qos = 0 },
		"twice without DUP":      func(_ *history, _, s *subscriber) { s.got[1].dup = false },
		"out of order":           func(_ *history, s, _ *subscriber) { s.got[0], s.got[1] = s.got[1], s.got[0] },
		"made up":                func(_ *history, s, _ *subscriber) { s.got[0].payload = "p9" },
		"on another topic":       func(_ *history, s, _ *subscriber) { s.got[0].topic = "c" },
		"not subscribed":         func(_ *history, _, s *subscriber) { s.subs[0].filter = "c" },
		"after it was left":      func(_ *history, _, s *subscriber) { s.subs[0].leaving, s.subs[0].left = 6, 7 },
		"before it was asked":    func(_ *history, _, s *subscriber) { s.subs[0].asked = 20 },
		"will missing":           func(_ *history, s, _ *subscriber) { s.got = s.got[:2] },
		"will twice":             func(_ *history, s, _ *subscriber) { s.got = append(s.got, s.got[2]) },
		"will after a clean end": func(h *history, _, _ *subscriber) { h.wills[0].fires = false },
		"retained lost":          func(h *history, _, _ *subscriber) { h.kept = nil },
		"retained from nowhere":  func(h *history, _, _ *subscriber) { h.kept["x"] = "p1" },
		"lost by the crew":       func(h *history, _, _ *subscriber) { h.subscribers[2].got = nil },
		"twice to the crew":      func(h *history, _, _ *subscriber) { h.subscribers[3].got = h.subscribers[2].got[:1] },
		"retained is old": func(h *history, _, _ *subscriber) {
			h.publications[0].retain = true
			h.kept["a/b"] = "p1"
		},
	} {
		h := honest()
		cheat(h, h.subscribers[0], h.subscribers[1])
		if h.check() == nil {
			t.Errorf("%s: nobody complains", name)
		}
	}
}
