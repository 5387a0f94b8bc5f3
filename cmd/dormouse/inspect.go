package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dormouse/cmd/dormouse/admin"
	"dormouse/core"
	"dormouse/core/store"
	"dormouse/core/store/disk"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/session"
)

// A storeCmd is about the store of a server that does not run.
type storeCmd struct {
	Inspect storeInspectCmd `cmd:"" help:"Count what is kept; or list the sessions, show one, or the retained message of a topic."`
}

type storeInspectCmd struct {
	settings
	Sessions bool   `xor:"what" help:"List the sessions, with those asleep and until when."`
	Session  string `xor:"what" placeholder:"ID" help:"Show what is kept for this client."`
	Topic    string `xor:"what" placeholder:"TOPIC" help:"Print the payload of what is retained at this topic; in JSON, all of the message."`
	Output   string `short:"o" enum:"text,json" default:"text" help:"How to print: text for people, or json."`
}

// Run reads all of the store that the configuration names, and changes nothing.
func (c *storeInspectCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return err
	}
	in := &inspection{topic: c.Topic, sessions: make(map[string]*keptSession)}
	in.counts, err = disk.Inspect(dir, nil, in.visit)
	if err != nil {
		return storeFailure(err)
	}
	show := in.showCounts
	switch {
	case c.Sessions:
		show = in.showSessions
	case c.Session != "":
		show = func(out io.Writer, inJSON bool) error { return in.showSession(out, c.Session, inJSON) }
	case c.Topic != "":
		show = in.showTopic
	default:
		if in.size, err = sizeOf(dir); err != nil {
			return err
		}
		in.dir = dir
	}
	return show(s.out, c.Output == "json")
}

// An inspection is what was seen of a store.
type inspection struct {
	dir      string
	size     int64 // octets of all its files
	counts   disk.Counts
	asleep   int
	sessions map[string]*keptSession

	topic    string
	retained *store.Message // there
}

// A keptSession is what is kept for one client, but for payloads.
type keptSession struct {
	ID            string      `json:"id"`
	User          string      `json:"user"`
	State         string      `json:"state"` // "active" or "asleep": MQTT-SN, as it was saved; empty: not known
	Listener      string      `json:"listener"`
	Remote        string      `json:"remote"`
	SavedAt       time.Time   `json:"saved_at,omitzero"`
	SleepSeconds  int64       `json:"sleep_seconds"`    // at a time
	LostAt        time.Time   `json:"lost_at,omitzero"` // unless it was heard since it was saved
	TopicIDs      int         `json:"topic_ids"`
	Ends          time.Time   `json:"ends,omitzero"` // the session, of one that had no connection
	Subscriptions []kept      `json:"subscriptions"`
	Waiting       int         `json:"waiting"` // messages
	WaitingBytes  int         `json:"waiting_bytes"`
	InFlight      int         `json:"in_flight"`
	Accepted      int         `json:"accepted"` // QoS 2 identifiers, not released yet
	Will          *admin.Will `json:"will"`
}

// A kept filter is one subscription.
type kept = admin.Subscription

// visit takes a fact of the store in.
func (in *inspection) visit(f store.Fact) error {
	switch f := f.(type) {
	case *store.Session:
		in.sessions[f.ClientID] = in.session(f)
	case *store.Subscribed:
		s := in.sessions[f.ClientID]
		s.Subscriptions = append(s.Subscriptions, kept{Filter: f.Filter, QoS: int(f.QoS),
			NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, ID: f.ID})
	case *store.Accepted:
		in.sessions[f.ClientID].Accepted++
	case *store.Published:
		for r := range f.Receivers {
			s := in.sessions[r.ClientID]
			s.Waiting++
			s.WaitingBytes += len(f.Message.Topic) + len(f.Message.Payload) + f.Message.Properties.Size()
		}
		if f.Message.Retain && f.Message.Topic == in.topic { // the last is the one
			m := *f.Message // which is ours only here
			in.retained = &m
		}
	case *store.Unretained:
		if f.Topic == in.topic {
			in.retained = nil
		}
	case *store.Taken:
		in.sessions[f.ClientID].InFlight++
	}
	return nil
}

func (in *inspection) session(f *store.Session) *keptSession {
	s := &keptSession{ID: f.ClientID, User: f.User, Ends: f.Ends}
	if w := f.Will; w != nil {
		s.Will = &admin.Will{Topic: w.Topic, QoS: int(w.QoS), Retain: w.Retain, DelaySeconds: int64(w.Delay / time.Second)}
	}
	state, attached := core.SavedEdge(f.Edge)
	saved, ok := gateway.ReadSaved(f.ClientID, state)
	if !attached || !ok {
		return s
	}
	s.State, s.Listener, s.SavedAt, s.TopicIDs = saved.State.String(), saved.Listener, saved.At.UTC(), saved.TopicIDs
	if saved.Peer.IsValid() {
		s.Remote = saved.Peer.String()
	}
	if saved.State == session.Asleep {
		in.asleep++
		s.SleepSeconds, s.LostAt = int64(saved.Sleep/time.Second), saved.Lost.UTC()
	}
	return s
}

// showCounts prints what there is of what.
func (in *inspection) showCounts(out io.Writer, inJSON bool) error {
	if inJSON {
		return encode(out, struct {
			DataDir string `json:"data_dir"`
			Bytes   int64  `json:"bytes"` // of all files in it
			Asleep  int    `json:"asleep"`
			disk.Counts
		}{in.dir, in.size, in.asleep, in.counts})
	}
	c := in.counts
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", values...) }
	row("data_dir", "%s, %d octets", in.dir, in.size)
	row("sessions", "%d, %d of them asleep", c.Sessions, in.asleep)
	row("subscriptions", "%d", c.Subscriptions)
	row("messages", "%d, %d of them retained", c.Messages, c.Retained)
	row("waiting", "%d", c.Waiting)
	row("in flight", "%d", c.InFlight)
	row("accepted", "%d", c.Accepted)
	if c.SessionBytes > 0 && c.Sessions > 0 {
		row("a session", "%d octets on disk, with what is its own", c.SessionBytes/uint64(c.Sessions))
	}
	if c.MessageBytes > 0 && c.Messages > 0 {
		row("a message", "%d octets on disk", c.MessageBytes/uint64(c.Messages))
	}
	return table.Flush()
}

// inOrder are the sessions by their ids.
func (in *inspection) inOrder() []*keptSession {
	all := make([]*keptSession, 0, len(in.sessions))
	for _, s := range in.sessions {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *keptSession) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// showSessions prints a line for each.
func (in *inspection) showSessions(out io.Writer, inJSON bool) error {
	if inJSON {
		return encode(out, in.inOrder())
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, cells("ID", "STATE", "LISTENER", "REMOTE", "USER", "SUBSCRIPTIONS", "WAITING", "OCTETS", "IN FLIGHT", "SLEEPS", "UNTIL"))
	for _, s := range in.inOrder() {
		until := s.Ends
		if s.State != "" {
			until = s.LostAt
		}
		fmt.Fprintln(table, cells(cell(s.ID), quoted(s.State), cell(s.Listener), cell(s.Remote), cell(s.User), len(s.Subscriptions),
			s.Waiting, s.WaitingBytes, s.InFlight, time.Duration(s.SleepSeconds)*time.Second, moment(until)))
	}
	return table.Flush()
}

// showSession prints all about one.
func (in *inspection) showSession(out io.Writer, id string, inJSON bool) error {
	s := in.sessions[id]
	switch {
	case s == nil:
		return fmt.Errorf("no session of %q is kept", id)
	case inJSON:
		return encode(out, s)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(table, "%s\t%v\n", name, value) }
	known := func(name, value string) {
		if value != "" && value != "-" {
			row(name, value)
		}
	}
	row("client", quoted(s.ID))
	known("user", quoted(s.User))
	known("state", s.State)
	known("listener", quoted(s.Listener))
	known("remote", quoted(s.Remote))
	known("saved", moment(s.SavedAt))
	if s.SleepSeconds > 0 {
		row("sleeps", fmt.Sprintf("%v at a time; lost at %s, unless it was heard since", time.Duration(s.SleepSeconds)*time.Second, moment(s.LostAt)))
	}
	known("session ends", moment(s.Ends))
	if w := s.Will; w != nil {
		row("will", fmt.Sprintf("%s, QoS %d%s", quoted(w.Topic), w.QoS, also(w.Retain, "retained")))
	}
	row("waiting", fmt.Sprintf("%d messages, %d octets", s.Waiting, s.WaitingBytes))
	row("in flight", s.InFlight)
	row("accepted", s.Accepted)
	row("topic ids", s.TopicIDs)
	row("subscriptions", len(s.Subscriptions))
	slices.SortFunc(s.Subscriptions, func(a, b kept) int { return strings.Compare(a.Filter, b.Filter) })
	for _, f := range s.Subscriptions {
		fmt.Fprintf(table, "\t%s, QoS %d\n", quoted(f.Filter), f.QoS)
	}
	return table.Flush()
}

// showTopic prints what is retained at a topic.
func (in *inspection) showTopic(out io.Writer, inJSON bool) error {
	m := in.retained
	switch {
	case m == nil:
		return fmt.Errorf("nothing is retained at %q", in.topic)
	case !inJSON:
		_, err := out.Write(m.Payload)
		return err
	}
	return encode(out, admin.NewRetainedMessage(m))
}

// encode prints v in one line.
func encode(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// sizeOf is the octets of all files in a directory.
func sizeOf(dir string) (n int64, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		is, err := f.Info()
		if err != nil {
			return 0, err
		}
		if is.Mode().IsRegular() {
			n += is.Size()
		}
	}
	return n, err
}
