package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"dormouse/cmd/dormouse/admin"
)

// A clientsCmd shows who is there.
type clientsCmd struct {
	inquiry
	ID    string `arg:"" optional:"" help:"Show all about this client."`
	Edge  string `enum:"mqtt,mqttsn," default:"" placeholder:"EDGE" help:"Only those of mqtt, or of mqttsn."`
	State string `enum:"connected,connecting,active,asleep,awake,lost,disconnected," default:"" placeholder:"STATE" help:"Only those that are connected (MQTT), connecting, active, asleep, awake (MQTT-SN), lost or disconnected."`
}

// Run prints a line for each session, or all about one.
func (c *clientsCmd) Run(s *streams) error {
	if c.ID == "" {
		_, err := show(&c.inquiry, s.out, "/v1/clients", url.Values{"edge": {c.Edge}, "state": {c.State}},
			cells("ID", "EDGE", "STATE", "LISTENER", "REMOTE", "USER", "SUBSCRIPTIONS",
				"WAITING", "IN FLIGHT", "DROPPED", "SINCE", "UNTIL"), clientLine)
		return err
	}
	if c.Edge != "" || c.State != "" {
		return usage("--edge and --state choose from all clients; leave them out, or the ID")
	}
	return c.ask(http.MethodGet, "/v1/client", url.Values{"id": {c.ID}}, func(body io.Reader) error {
		if c.Output == "json" {
			_, err := io.Copy(s.out, body)
			return err
		}
		var d admin.ClientDetail
		if err := json.NewDecoder(body).Decode(&d); err != nil {
			return err
		}
		return printClient(s.out, &d)
	})
}

func clientLine(c admin.Client) string {
	until := c.Ends
	if !c.AsleepUntil.IsZero() {
		until = c.AsleepUntil
	}
	return cells(cell(c.ID), cell(c.Edge), c.State, cell(c.Listener), cell(c.Remote), cell(c.User), c.Subscriptions,
		c.Waiting, c.InFlight, c.Dropped, moment(c.Since), moment(until))
}

// printClient prints all about one client, what is known of it.
func printClient(out io.Writer, d *admin.ClientDetail) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(table, "%s\t%v\n", name, value) }
	known := func(name, value string) {
		if value != "" && value != "-" {
			row(name, value)
		}
	}
	row("client", quoted(d.ID))
	row("state", d.State)
	known("edge", d.Edge)
	known("listener", quoted(d.Listener))
	known("remote", quoted(d.Remote))
	known("user", quoted(d.User))
	known("since", moment(d.Since))
	known("asleep until", moment(d.AsleepUntil))
	known("session ends", moment(d.Ends))
	if d.ExpirySeconds != nil {
		row("session expiry", time.Duration(*d.ExpirySeconds)*time.Second)
	}
	row("waiting", fmt.Sprintf("%d messages, %d octets", d.Waiting, d.WaitingBytes))
	row("in flight", d.InFlight)
	row("dropped", d.Dropped)
	if d.Edge == "mqttsn" {
		row("topic ids", d.TopicIDs)
	}
	if w := d.Will; w != nil {
		row("will", fmt.Sprintf("%s, QoS %d%s", quoted(w.Topic), w.QoS, also(w.Retain, "retained")))
	}
	row("subscriptions", len(d.Filters))
	for _, f := range d.Filters {
		fmt.Fprintf(table, "\t%s, QoS %d%s%s\n", quoted(f.Filter), f.QoS,
			also(f.NoLocal, "no local"), also(f.RetainAsPublished, "retain as published"))
	}
	return table.Flush()
}

// also is what to add to a list if it is so.
func also(so bool, what string) string {
	if !so {
		return ""
	}
	return ", " + what
}

// A kickCmd ends a client's connection.
type kickCmd struct {
	operation
	ID    string `arg:"" help:"The client."`
	Purge bool   `help:"End its session as well: subscriptions, and what waits for it."`
}

// Run kicks the client.
func (c *kickCmd) Run(*streams) error {
	query := url.Values{"id": {c.ID}}
	if c.Purge {
		query.Set("purge", "true")
	}
	return c.ask(http.MethodPost, "/v1/client/kick", query, func(io.Reader) error { return nil })
}
