package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dormouse/cmd/dormouse/admin"
	"dormouse/sim"
	"dormouse/sim/drive"
)

// A control is where a run that goes on is changed: HTTP on a socket that this
// user alone may open.
type control struct {
	change  func(at time.Duration, group string, settings ...string) (*sim.Change, error)
	latest  *latest
	changes chan drive.Request
	server  http.Server

	mu sync.Mutex // change is for one at a time
}

// controlPath is where the socket is, unless another place is named: beside the
// server's.
func controlPath(named string) string {
	if named != "" {
		return named
	}
	return filepath.Join(filepath.Dir(admin.SocketPath("")), "sim.sock")
}

// answerWithin bounds how long a change may take: virtual time may be paused.
const answerWithin = 10 * time.Second

// serve answers on the socket until stop is called.
func (c *control) serve(path string) (stop func(), err error) {
	socket, err := admin.Listen(path)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/set", c.set)
	c.server = http.Server{Handler: mux, ReadHeaderTimeout: answerWithin}
	go c.server.Serve(socket)
	return func() { c.server.Close() }, nil
}

// set changes a group: its name is in the query, and the settings.
func (c *control) set(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	if err := c.apply(ctx, q.Get("group"), q["set"]); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *control) apply(ctx context.Context, group string, settings []string) error {
	var at time.Duration
	if s := c.latest.Load(); s != nil {
		at = s.At
	}
	change, err := c.change(at, group, settings...)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	select {
	case c.changes <- drive.Request{Change: change, Done: done}:
	case <-ctx.Done():
		return errors.New("the run does not take the change; is it paused, or about to end?")
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("the run has taken the change, and has not said how that went")
	}
}

type simSetCmd struct {
	Group    string   `arg:"" help:"Name of the group."`
	Settings []string `arg:"" name:"KEY=VALUE" help:"What is to be different, with the keys of a scenario file, such as reports.every=5s."`
	Control  string   `placeholder:"PATH" help:"Socket of the run, if it was given one with --control."`
}

// Run asks the run that goes on.
func (c *simSetCmd) Run(*streams) error {
	for _, s := range c.Settings {
		if !strings.Contains(s, "=") {
			return usage("%q is no setting; write KEY=VALUE", s)
		}
	}
	path := controlPath(c.Control)
	caller := http.Client{Timeout: 2 * answerWithin, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	query := url.Values{"group": {c.Group}, "set": c.Settings}
	answer, err := caller.Post("http://localhost/v1/set?"+query.Encode(), "", nil)
	if err != nil {
		return &failure{statusUnreachable, fmt.Errorf("no run of the simulator answers on %s; name its socket with --control", path)}
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return err
	}
	return &failure{statusUsage, errors.New(strings.TrimSpace(string(text)))}
}
