package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"dormouse/core"
	"dormouse/mqttsn/session"
)

// A Client is one session in a list. Strings that are not known are empty, and
// times that do not apply are left out.
type Client struct {
	ID            string    `json:"id"`
	State         string    `json:"state"` // of States
	Edge          string    `json:"edge"`  // "mqtt", "mqttsn"; empty: not connected
	Listener      string    `json:"listener"`
	Remote        string    `json:"remote"`
	User          string    `json:"user"`
	Subscriptions int       `json:"subscriptions"`
	Waiting       int       `json:"waiting"` // messages
	WaitingBytes  int       `json:"waiting_bytes"`
	InFlight      int       `json:"in_flight"`
	Dropped       uint64    `json:"dropped"`
	TopicIDs      int       `json:"topic_ids"` // of MQTT-SN
	Since         time.Time `json:"since,omitzero"`
	AsleepUntil   time.Time `json:"asleep_until,omitzero"` // by its own word
	Ends          time.Time `json:"ends,omitzero"`         // a session without a connection
}

// A ClientDetail is all there is to know about one session, but for payloads.
type ClientDetail struct {
	Client
	ExpirySeconds *int64         `json:"expiry_seconds"` // that it outlives its connection; null: for ever, or it has none
	Filters       []Subscription `json:"filters"`
	Will          *Will          `json:"will"`
}

// A Subscription is one filter of a session.
type Subscription struct {
	Filter            string `json:"filter"`
	QoS               int    `json:"qos"`
	NoLocal           bool   `json:"no_local"`
	RetainAsPublished bool   `json:"retain_as_published"`
	ID                uint32 `json:"id"` // zero: none
}

// A Will is a will without its payload.
type Will struct {
	Topic        string `json:"topic"`
	QoS          int    `json:"qos"`
	Retain       bool   `json:"retain"`
	DelaySeconds int64  `json:"delay_seconds"`
}

// States are those of a client: those of MQTT, then those of MQTT-SN 1.2 §6.14
// while there is a virtual connection, then those without one.
var States = []string{"connected", "connecting", "active", "asleep", "awake", "lost", "disconnected"}

// batch is how many clients are asked for at once: not so many that a shard of
// sleepers would notice.
const batch = 256

// patience is how long a gateway may take to answer for a batch.
const patience = 10 * time.Second

// clients lists the sessions by id, those of the edge and the state in the
// query if it has them.
func (s *Server) clients(w http.ResponseWriter, r *http.Request) {
	edge, state := r.URL.Query().Get("edge"), r.URL.Query().Get("state")
	out := newList(w)
	for ids := range slices.Chunk(s.o.Broker.ClientIDs(), batch) {
		details, err := s.describe(r.Context(), ids)
		if err != nil {
			breakOff()
		}
		for _, d := range details {
			if (edge == "" || d.Edge == edge) && (state == "" || d.State == state) && out.add(d.Client) != nil {
				return
			}
		}
	}
	_ = out.end()
}

// client shows one session.
func (s *Server) client(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	details, err := s.describe(r.Context(), []string{id})
	switch {
	case err != nil:
		answerProblem(w, http.StatusServiceUnavailable, "the gateway does not say how %q is; ask again", id)
	case len(details) == 0:
		noSuchClient(w, id)
	default:
		w.Header().Set("Content-Type", "application/json")
		answer(w, details[0])
	}
}

// kick ends a client's connection, and its session with it if it is to be
// purged.
func (s *Server) kick(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if !s.o.Broker.Kick(id, r.URL.Query().Get("purge") == "true") {
		noSuchClient(w, id)
		return
	}
	s.o.Log.Info().Str("event", "client_kicked").Str("client", id).Msg("an operator has ended a client's connection")
	w.WriteHeader(http.StatusNoContent)
}

func noSuchClient(w http.ResponseWriter, id string) {
	answerProblem(w, http.StatusNotFound, "there is no client %q", id)
}

// describe returns the sessions of those ids that there are. Of sensors it
// asks their gateways.
func (s *Server) describe(ctx context.Context, ids []string) ([]ClientDetail, error) {
	details := make([]ClientDetail, 0, len(ids))
	sensors := make(map[string][]int) // places in details, by listener
	for _, id := range ids {
		info, ok := s.o.Broker.Client(id)
		if !ok {
			continue
		}
		if info.Connected && s.o.Gateways[info.Listener] != nil {
			sensors[info.Listener] = append(sensors[info.Listener], len(details))
		}
		details = append(details, newDetail(&info))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for listener, places := range sensors {
		of := make([]string, len(places))
		for i, place := range places {
			of[i] = details[place].ID
		}
		states, err := s.o.Gateways[listener].States(ctx, of)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for i, place := range places {
			d := &details[place]
			d.TopicIDs = states[i].TopicIDs
			if states[i].State == session.Disconnected {
				continue // it has yet to hear that it is let in
			}
			d.State = states[i].State.String()
			if states[i].State == session.Asleep {
				d.AsleepUntil = seconds(now.Add(states[i].Wakes))
			}
		}
	}
	return details, nil
}

func newDetail(info *core.ClientInfo) ClientDetail {
	d := ClientDetail{
		Client: Client{
			ID: info.ClientID, Edge: info.Edge, State: state(info),
			Listener: info.Listener, Remote: info.Remote, User: info.User,
			Subscriptions: len(info.Subscriptions),
			Waiting:       info.Waiting, WaitingBytes: info.WaitingBytes,
			InFlight: info.Inflight, Dropped: info.Dropped,
			Since: seconds(info.Since), Ends: seconds(info.Ends),
		},
		Filters: make([]Subscription, 0, len(info.Subscriptions)),
	}
	if info.Connected && info.Expiry != core.Forever {
		expiry := int64(info.Expiry / time.Second)
		d.ExpirySeconds = &expiry
	}
	for _, sub := range info.Subscriptions {
		d.Filters = append(d.Filters, Subscription{
			Filter: sub.Filter, QoS: int(sub.QoS), ID: sub.ID,
			NoLocal: sub.NoLocal, RetainAsPublished: sub.RetainAsPublished,
		})
	}
	if w := info.Will; w != nil {
		d.Will = &Will{Topic: w.Topic, QoS: int(w.QoS), Retain: w.Retain, DelaySeconds: int64(w.Delay / time.Second)}
	}
	return d
}

// state is that of a client as core knows it.
func state(info *core.ClientInfo) string {
	switch {
	case info.Connected && info.Edge == "mqttsn":
		return session.Connecting.String()
	case info.Connected:
		return "connected"
	case info.Lost:
		return "lost"
	}
	return session.Disconnected.String()
}

// seconds is t as it is shown, to the second. Zero stays zero.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Round(time.Second)
}
