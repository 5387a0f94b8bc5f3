package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A history is what went over the wires of all clients of one broker, through
// all of its lives. All stamps are of one clock, which counts the events.
type history struct {
	mu    sync.Mutex
	clock int64
	life  int // of the broker, from 0

	// realTime: what comes in one life may have been sent in the one before.
	realTime bool

	// mayRefuse: the broker may have no room for now.
	mayRefuse bool
	refused   int // PUBLISH of sensors

	publications []*publication
	known        map[string]*publication // by payload, which is its own
	under        map[string]*subscriber  // by payload: who publishes it at QoS 1 or 2, and has no answer yet
	subscribers  []*subscriber
	names        map[string]map[uint16]string // topic ids of sensors
	ids          map[string]map[string]uint16
	wills        map[string]bool   // payload -> whether it is to be published
	kept         map[string]string // at the end: retained payloads by topic
	wrong        []string          // what was seen at once
}

// A publication is one message.
type publication struct {
	who, topic, payload string
	qos                 byte
	retain              bool
	times               int   // it was sent
	sent, acked         int64 // acked zero: nobody took it on himself
}

// A subscriber is what one client has subscribed to all the time, and what it got.
type subscriber struct {
	who     string
	filters map[string]byte // QoS by filter, granted before anything was published
	got     []reception
	has     map[string]bool // payloads of got
	owed    map[string]bool // payloads that were acknowledged and are to come
	left    bool            // it does not come back for what waits
}

type reception struct {
	topic, payload string
	qos            byte
	dup            bool
	life           int
}

func newHistory() *history {
	return &history{
		known: make(map[string]*publication),
		under: make(map[string]*subscriber),
		names: make(map[string]map[uint16]string),
		ids:   make(map[string]map[string]uint16),
		wills: make(map[string]bool),
	}
}

func (h *history) complain(format string, args ...any) {
	h.wrong = append(h.wrong, fmt.Sprintf("life %d: ", h.life)+fmt.Sprintf(format, args...))
}

// subscriber makes a client known that will subscribe.
func (h *history) subscriber(who string) *subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &subscriber{who: who, filters: make(map[string]byte), has: make(map[string]bool), owed: make(map[string]bool)}
	h.subscribers = append(h.subscribers, s)
	return s
}

// begun notes that s will have sent a message at QoS 1 or 2, now or when it can.
func (h *history) begun(s *subscriber, payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.under[payload] = s
}

// fullNow reports whether the broker may have no room.
func (h *history) fullNow() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mayRefuse
}

// refusedPublish notes that a sensor is told to come again later.
func (h *history) refusedPublish(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused++
	if !h.mayRefuse {
		h.complain("%s: PUBACK congestion, while there is room", who)
	}
}

// refrained notes that it will not be sent after all.
func (h *history) refrained(payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.under, payload)
}

// sent notes a PUBLISH to the broker, the first or another.
func (h *history) sent(who, topic, payload string, qos byte, retain bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	p := h.known[payload]
	if p == nil {
		p = &publication{who: who, topic: topic, payload: payload, qos: qos, retain: retain, sent: h.clock}
		h.publications = append(h.publications, p)
		h.known[payload] = p
	}
	p.times++
}

// acked notes PUBACK or PUBREC for it.
func (h *history) acked(payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	delete(h.under, payload)
	p := h.known[payload]
	if p == nil || p.acked != 0 {
		return
	}
	p.acked = h.clock
	for _, s := range h.subscribers {
		if p.qos > 0 && s.wants(p.topic) > 0 && !s.has[payload] {
			s.owed[payload] = true
		}
	}
}

// received notes a PUBLISH from the broker. One at QoS 2 that the receiver has
// under the same packet identifier is not noted again.
func (h *history) received(s *subscriber, r reception) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	r.life = h.life
	s.got = append(s.got, r)
	s.has[r.payload] = true
	delete(s.owed, r.payload)
}

// assigned notes that the broker has a topic id stand for a name: it does not
// change as long as the session lasts.
func (h *history) assigned(who, name string, id uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids[who] == nil {
		h.ids[who], h.names[who] = make(map[string]uint16), make(map[uint16]string)
	}
	if was, ok := h.ids[who][name]; ok && was != id {
		h.complain("%s: the topic id of %s was %d and is %d", who, name, was, id)
	}
	if was, ok := h.names[who][id]; ok && was != name {
		h.complain("%s: topic id %d stood for %s and stands for %s", who, id, was, name)
	}
	h.ids[who][name], h.names[who][id] = id, name
}

// name is what a topic id stands for.
func (h *history) name(who string, id uint16) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, ok := h.names[who][id]
	if !ok {
		h.complain("%s gets topic id %d, which it was not told of", who, id)
	}
	return name
}

func (h *history) blame(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.complain(format, args...)
}

// waits says what s must still get.
func (s *subscriber) waits() (payloads []string) {
	if s.left {
		return nil
	}
	return slices.Sorted(maps.Keys(s.owed))
}

// complete reports whether all have all that was acknowledged, and wills, and
// nothing is under way that may yet be acknowledged and is to come then.
func (h *history) complete() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.under {
		if !s.left {
			return false
		}
	}
	for _, s := range h.subscribers {
		if !s.left && len(s.owed) > 0 {
			return false
		}
	}
	return h.willsMissing() == 0
}

// await waits until h is complete, as long as something comes now and then.
func (h *history) await() {
	for before := int64(-1); ; {
		h.mu.Lock()
		now := h.clock
		h.mu.Unlock()
		if now == before || soon(h.complete) {
			return
		}
		before = now
	}
}

func (h *history) willsMissing() (n int) {
	came := h.willsThatCame()
	for payload, fires := range h.wills {
		if fires && came[payload] == 0 {
			n++
		}
	}
	return n
}

func (h *history) willsThatCame() map[string]int {
	came := make(map[string]int)
	for _, s := range h.subscribers {
		for _, r := range s.got {
			if _, will := h.wills[r.payload]; will {
				came[r.payload]++
			}
		}
	}
	return came
}

// wants is the QoS at which s has subscribed to topic.
func (s *subscriber) wants(topic string) (qos byte) {
	for f, q := range s.filters {
		if f == topic || strings.HasSuffix(f, "#") && strings.HasPrefix(topic, strings.TrimSuffix(f, "#")) {
			qos = max(qos, q)
		}
	}
	return qos
}

// check returns what is wrong.
func (h *history) check() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	order := make(map[*publication]int)
	for i, p := range h.publications {
		order[p] = i
	}
	for _, s := range h.subscribers {
		for _, payload := range s.waits() {
			h.complain("%s never got %s, which was acknowledged", s.who, payload)
		}
		h.checkWhatCame(s, order)
	}
	came := h.willsThatCame()
	for payload, fires := range h.wills {
		if n := came[payload]; (n > 0) != fires {
			h.complain("the will %s came %d times; its client was lost: %v", payload, n, fires)
		}
	}
	h.checkRetained()
	return h.wrong
}

// checkWhatCame: only what was published, once at QoS 2, again at QoS 1 only
// for a reason, and each publisher's messages to a topic in order.
func (h *history) checkWhatCame(s *subscriber, order map[*publication]int) {
	type stream struct {
		who, topic string
		qos        byte
	}
	first := make(map[string]reception)
	last := make(map[stream]*publication)
	for _, r := range s.got {
		p := h.known[r.payload]
		if _, will := h.wills[r.payload]; will {
			continue
		}
		switch before, again := first[r.payload]; {
		case p == nil:
			h.complain("%s got %q on %s, which nobody published", s.who, r.payload, r.topic)
			continue
		case p.topic != r.topic:
			h.complain("%s got %s on %s instead of %s", s.who, r.payload, r.topic, p.topic)
		case again && r.qos == 2:
			h.complain("%s got %s twice at QoS 2, in lives %d and %d", s.who, r.payload, before.life, r.life)
			continue
		case again && r.qos == 1 && !r.dup && p.times == 1 && before.life == r.life && !h.realTime:
			h.complain("%s got %s twice in one life, without DUP", s.who, r.payload)
			continue
		case again && r.qos == 0 && p.times == 1:
			h.complain("%s got %s twice at QoS 0", s.who, r.payload)
			continue
		case again:
			continue
		case r.qos != min(p.qos, s.wants(p.topic)):
			h.complain("%s got %s at QoS %d; it was published at %d and wanted at %d", s.who, r.payload, r.qos, p.qos, s.wants(p.topic))
		}
		first[r.payload] = r
		of := stream{p.who, p.topic, p.qos}
		if l := last[of]; l != nil && order[l] > order[p] {
			h.complain("%s got %s after %s", s.who, p.payload, l.payload)
		}
		last[of] = p
	}
}

// checkRetained: each topic has the last message that was acknowledged, or one
// that was sent since.
func (h *history) checkRetained() {
	if h.kept == nil {
		return
	}
	may := make(map[string]map[string]bool)
	certain := make(map[string]bool)
	for _, p := range h.publications {
		if !p.retain {
			continue
		}
		if p.acked != 0 {
			may[p.topic] = nil // whatever was before is over
			certain[p.topic] = true
		}
		if may[p.topic] == nil {
			may[p.topic] = make(map[string]bool)
		}
		may[p.topic][p.payload] = true
	}
	for topic, payloads := range may {
		if got, ok := h.kept[topic]; ok && !payloads[got] || !ok && certain[topic] {
			h.complain("%q is retained on %s, not the last that was acknowledged", got, topic)
		}
	}
	for topic, got := range h.kept {
		if may[topic] == nil {
			h.complain("%q is retained on %s, where nobody retained anything", got, topic)
		}
	}
}
