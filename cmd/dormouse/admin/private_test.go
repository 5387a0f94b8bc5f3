package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/core"
)

// nobody is the Sink of clients that only exist.
type nobody struct{ n int }

func (nobody) Mail()                {}
func (nobody) Kick(core.KickReason) {}

// serve has a server for b on a socket, and returns what asks it.
func serve(t *testing.T, b *core.Broker) *Caller {
	t.Helper()
	path := inTemp(t)
	http, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Log: zerolog.Nop(), Broker: b}, http, listen(t, path))
	s.Serve()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return Call(path)
}

// ask carries out a request and decodes the answer, if into is not nil.
func ask(t *testing.T, c *Caller, method, path string, query url.Values, into any) error {
	t.Helper()
	body, err := c.Do(t.Context(), method, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s %s is answered by %q: %v", method, path, text, err)
	}
	return nil
}

func wantProblem(t *testing.T, err error, status int, says string) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) || p.Status != status || !strings.Contains(p.Detail, says) {
		t.Errorf("the answer is %v, want a problem %d with %q", err, status, says)
	}
}

// TestManyClients are listed by id, none twice and none left out, however many
// times the broker has to be asked.
func TestManyClients(t *testing.T) {
	const n = 4*batch + 7
	b := core.New(core.DefaultOptions())
	c := serve(t, b)
	var none []Client
	if err := ask(t, c, "GET", "/v1/clients", nil, &none); err != nil || len(none) != 0 {
		t.Errorf("without clients the answer is %v, %v", none, err)
	}
	for i := range n {
		id := core.Identity{ClientID: fmt.Sprintf("%04d", i), Edge: "mqtt", Listener: "l"}
		b.Open(id, core.SessionOptions{Expiry: core.Forever}, nobody{i}, func(s *core.Session, _ bool, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 {
				s.Detach(core.Lost, func(error) {})
			}
		})
	}
	for query, step := range map[string]int{"": 1, "state=connected": 2, "edge=mqtt": 2, "edge=mqtt&state=lost": n, "edge=mqttsn": n} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		var got []Client
		if err := ask(t, c, "GET", "/v1/clients", q, &got); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := 0; i < n && step < n; i += step {
			want = append(want, fmt.Sprintf("%04d", i))
		}
		var ids []string
		for _, c := range got {
			ids = append(ids, c.ID)
		}
		if strings.Join(ids, " ") != strings.Join(want, " ") {
			t.Errorf("with %q there are %d clients, want %d: %v", query, len(ids), len(want), ids)
		}
	}
}

// TestOddNames: ids and topics are anything that a client may call itself.
func TestOddNames(t *testing.T) {
	b := core.New(core.DefaultOptions())
	c := serve(t, b)
	for _, id := range []string{"..", "a/b", "a b?c=d&e#f", "%2F", "+", "ä\"<>", strings.Repeat("ä", 1<<15-1)} {
		b.Open(core.Identity{ClientID: id}, core.SessionOptions{}, nobody{}, func(*core.Session, bool, error) {})
		var d ClientDetail
		if err := ask(t, c, "GET", "/v1/client", url.Values{"id": {id}}, &d); err != nil || d.ID != id {
			t.Errorf("asked for %q the server answers %q, %v", id, d.ID, err)
		}
		if err := ask(t, c, "POST", "/v1/client/kick", url.Values{"id": {id}}, nil); err != nil {
			t.Errorf("%q cannot be kicked: %v", id, err)
		}
		wantProblem(t, ask(t, c, "GET", "/v1/client", url.Values{"id": {id}}, nil), 404, "there is no client")
	}
	for _, topic := range []string{"..", "/", "a b?c=d&e", "%2F", "ä\"<>"} {
		b.Publish(core.Identity{}, core.Message{Topic: topic, Payload: []byte("x"), Retain: true}, func(error) {})
		var m RetainedMessage
		if err := ask(t, c, "GET", "/v1/retained/message", url.Values{"topic": {topic}}, &m); err != nil || m.Topic != topic {
			t.Errorf("asked for what is retained at %q the server answers %q, %v", topic, m.Topic, err)
		}
	}
}

// TestRetainedSince: a list says when each message was published.
func TestRetainedSince(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC)
	o := core.DefaultOptions()
	o.Now = func() time.Time { return at }
	b := core.New(o)
	c := serve(t, b)
	b.Publish(core.Identity{}, core.Message{Topic: "t", Payload: []byte("x"), Retain: true}, func(error) {})
	at = at.Add(time.Hour)
	var all []Retained
	if err := ask(t, c, "GET", "/v1/retained", url.Values{"filter": {"t"}}, &all); err != nil || len(all) != 1 ||
		!all[0].Published.Equal(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("the list says %+v, %v; want one that was published an hour ago", all, err)
	}
}

// TestManyRetained are listed and removed whatever their number.
func TestManyRetained(t *testing.T) {
	const n = 2500
	b := core.New(core.DefaultOptions())
	c := serve(t, b)
	for i := range n {
		b.Publish(core.Identity{}, core.Message{Topic: fmt.Sprintf("t/%d", i), Payload: []byte("x"), Retain: true}, func(error) {})
	}
	var all []Retained
	if err := ask(t, c, "GET", "/v1/retained", url.Values{"filter": {"t/+"}}, &all); err != nil || len(all) != n {
		t.Errorf("of %d retained messages %d are listed, %v", n, len(all), err)
	}
	var r Removal
	b.SetPressure(core.Hard) // the more reason to
	if err := ask(t, c, "DELETE", "/v1/retained", url.Values{"filter": {"t/+"}}, &r); err != nil || r.Removed != n {
		t.Errorf("of %d retained messages %d are removed, %v", n, r.Removed, err)
	}
	if left := b.Stats().Retained; left != 0 {
		t.Errorf("%d are left", left)
	}
	wantProblem(t, ask(t, c, "DELETE", "/v1/retained", url.Values{"filter": {"t/+"}}, nil), 404, "nothing is retained")
	wantProblem(t, ask(t, c, "DELETE", "/v1/retained", url.Values{"filter": {"$SYS/#"}}, nil), 403, "the broker's own")
	wantProblem(t, ask(t, c, "DELETE", "/v1/retained", url.Values{"filter": {"a#"}}, nil), 400, "no topic filter")
	wantProblem(t, ask(t, c, "GET", "/v1/retained", nil, nil), 400, "no topic filter")
	wantProblem(t, ask(t, c, "GET", "/v1/retained/message", url.Values{"topic": {"t/+"}}, nil), 400, "wildcards")
}

// TestRemovalThatTheBrokerRefuses is told, and says why.
func TestRemovalThatTheBrokerRefuses(t *testing.T) {
	o := core.DefaultOptions()
	refuse := false
	o.Authorize = func(core.Identity, core.Access) bool { return !refuse }
	b := core.New(o)
	c := serve(t, b)
	b.Publish(core.Identity{}, core.Message{Topic: "t", Payload: []byte("x"), Retain: true}, func(error) {})
	refuse = true
	wantProblem(t, ask(t, c, "DELETE", "/v1/retained", url.Values{"filter": {"t"}}, nil), 503, core.ErrNotAuthorized.Error())
}

// TestSocketAlone has what is not for everybody on this machine.
func TestSocketAlone(t *testing.T) {
	c := serve(t, core.New(core.DefaultOptions()))
	if err := ask(t, c, "GET", "/debug/pprof/goroutine", url.Values{"debug": {"1"}}, nil); err != nil {
		t.Errorf("pprof: %v", err)
	}
	wantProblem(t, ask(t, c, "GET", "/v2/clients", nil, nil), 404, "there is no GET /v2/clients here")
	wantProblem(t, ask(t, c, "GET", "/v1/client/kick", nil, nil), 404, "there is no GET")
}

// TestUnreachable says what to do.
func TestUnreachable(t *testing.T) {
	path := inTemp(t)
	err := ask(t, Call(path), "GET", "/v1/clients", nil, nil)
	if want := "there is no socket " + path; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without a socket: %v", err)
	}
	l := listen(t, path).(*net.UnixListener)
	l.SetUnlinkOnClose(false)
	l.Close()
	err = ask(t, Call(path), "GET", "/v1/clients", nil, nil)
	if want := "no server answers on " + path; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("with a socket that was left behind: %v", err)
	}
	var u *Unreachable
	if !errors.As(err, &u) || u.Path != path {
		t.Errorf("it is no Unreachable: %v", err)
	}
}
