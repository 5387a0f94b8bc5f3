package gateway

import (
	"bytes"
	"fmt"
	"strings"

	"dormouse/core"
)

// An app is a client of the broker's other edge. It takes what comes at once.
type app struct {
	w       *world
	session *core.Session
	id      uint16
	got     []string // topic=payload
}

func (a *app) Kick(core.KickReason) { a.session = nil }

func (a *app) Mail() {}

func (w *world) app(clientID string, filters ...string) *app {
	a := &app{w: w}
	o := core.SessionOptions{CleanStart: true}
	w.core.Open(core.Identity{ClientID: clientID, Edge: "mqtt"}, o, a, func(s *core.Session, _ bool, err error) {
		if err != nil {
			w.t.Fatal(err)
		}
		a.session = s
	})
	w.sync()
	for _, f := range filters {
		a.session.Subscribe(core.Subscription{Filter: f, QoS: 2}, func(_ core.QoS, err error) {
			if err != nil {
				w.t.Fatal(err)
			}
		})
	}
	w.sync()
	return a
}

func (a *app) publish(topic, payload string, qos core.QoS, retain bool) {
	a.says(topic, payload, qos, retain)
	a.w.settle()
}

// says publishes and lets nothing come of it yet.
func (a *app) says(topic, payload string, qos core.QoS, retain bool) {
	a.id++
	a.session.Publish(core.Message{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain}, a.id, func(err error) {
		if err != nil {
			a.w.t.Fatal(err)
		}
	})
	if qos == 2 {
		a.session.Release(a.id, func(error) {})
	}
}

// receives returns what has come.
func (a *app) receives() []string {
	for {
		d, ok := a.session.Next()
		if !ok {
			got := a.got
			a.got = nil
			return got
		}
		a.got = append(a.got, fmt.Sprintf("%s=%s", d.Topic, bytes.Clone(d.Payload)))
		if d.ID != 0 {
			a.session.Ack(d.ID)
		}
	}
}

func (a *app) wants(messages ...string) {
	a.w.t.Helper()
	if got := a.receives(); strings.Join(got, " ") != strings.Join(messages, " ") {
		a.w.t.Errorf("the application got %q, want %q", got, messages)
	}
}
