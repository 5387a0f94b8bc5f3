package admin

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"dormouse/core"
)

// A Retained is one retained message in a list.
type Retained struct {
	Topic     string    `json:"topic"`
	Bytes     int       `json:"bytes"` // of its payload
	QoS       int       `json:"qos"`
	Publisher string    `json:"publisher"` // client id; empty: the broker
	Published time.Time `json:"published,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
}

// A RetainedMessage is one retained message with its payload: as text if it is
// UTF-8, else in base64.
type RetainedMessage struct {
	Retained
	Payload *string `json:"payload,omitempty"`
	Base64  []byte  `json:"payload_base64,omitempty"`
}

// NewRetainedMessage is m in these terms.
func NewRetainedMessage(m *core.Message) RetainedMessage {
	full := RetainedMessage{Retained: newRetained(m)}
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		full.Payload = &text
	} else {
		full.Base64 = m.Payload
	}
	return full
}

// Octets are the payload.
func (m *RetainedMessage) Octets() []byte {
	if m.Payload != nil {
		return []byte(*m.Payload)
	}
	return m.Base64
}

// A Removal says how many retained messages were removed.
type Removal struct {
	Removed int `json:"removed"`
}

// IsFilter reports whether a topic has wildcards.
func IsFilter(topic string) bool { return strings.ContainsAny(topic, "+#") }

// retained lists the retained messages whose topics match the filter in the
// query, in no order.
func (s *Server) retained(w http.ResponseWriter, r *http.Request) {
	filter := r.URL.Query().Get("filter")
	messages, err := s.o.Broker.Retained(filter)
	if err != nil {
		badFilter(w, filter, err)
		return
	}
	out := newList(w)
	for m := range messages {
		if out.add(newRetained(&m)) != nil {
			return
		}
	}
	_ = out.end()
}

// retainedMessage shows that of one topic.
func (s *Server) retainedMessage(w http.ResponseWriter, r *http.Request) {
	topic := r.URL.Query().Get("topic")
	messages, err := s.o.Broker.Retained(topic)
	if err == nil && IsFilter(topic) {
		err = errors.New("it has wildcards")
	}
	if err != nil {
		answerProblem(w, http.StatusBadRequest, "%q is no topic: %v", topic, err)
		return
	}
	for m := range messages {
		if m.Topic != topic {
			continue
		}
		w.Header().Set("Content-Type", "application/json")
		answer(w, NewRetainedMessage(&m))
		return
	}
	answerProblem(w, http.StatusNotFound, "nothing is retained at %q", topic)
}

// removeRetained removes what a filter matches.
func (s *Server) removeRetained(w http.ResponseWriter, r *http.Request) {
	filter := r.URL.Query().Get("filter")
	messages, err := s.o.Broker.Retained(filter)
	switch {
	case err != nil:
		badFilter(w, filter, err)
		return
	case strings.HasPrefix(filter, "$"):
		answerProblem(w, http.StatusForbidden, "what is below %q is the broker's own; it cannot be removed", filter)
		return
	}
	const pending = 1000 // at most
	var n int
	var first answers
	for m := range messages {
		if r.Context().Err() != nil {
			return
		}
		if n++; n%pending == 0 {
			first.pending.Wait()
		}
		first.expect()
		s.o.Broker.RemoveRetained(core.Identity{Edge: "admin"}, m.Topic, first.take)
	}
	switch err := first.wait(); {
	case err != nil:
		answerProblem(w, http.StatusServiceUnavailable, "not everything could be removed: %v", err)
	case n == 0:
		answerProblem(w, http.StatusNotFound, "nothing is retained at %q", filter)
	default:
		s.o.Log.Info().Str("event", "retained_removed").Str("filter", filter).Int("messages", n).
			Msg("an operator has removed retained messages")
		w.Header().Set("Content-Type", "application/json")
		answer(w, Removal{n})
	}
}

// answers waits for those to many requests, of which some may be pending.
type answers struct {
	pending sync.WaitGroup
	mu      sync.Mutex
	failed  error // the first
}

func (a *answers) expect() { a.pending.Add(1) }

func (a *answers) take(err error) {
	a.mu.Lock()
	if a.failed == nil {
		a.failed = err
	}
	a.mu.Unlock()
	a.pending.Done()
}

// wait returns the first error.
func (a *answers) wait() error {
	a.pending.Wait()
	return a.failed
}

func badFilter(w http.ResponseWriter, filter string, err error) {
	answerProblem(w, http.StatusBadRequest, "%q is no topic filter: %v", filter, err)
}

func newRetained(m *core.Message) Retained {
	r := Retained{Topic: m.Topic, Bytes: len(m.Payload), QoS: int(m.QoS), Publisher: m.Publisher, Expires: seconds(m.Expires)}
	if m.Taken != 0 {
		r.Published = time.Unix(m.Taken, 0).UTC()
	}
	return r
}
