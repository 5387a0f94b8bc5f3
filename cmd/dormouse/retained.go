package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/mattn/go-isatty"

	"dormouse/cmd/dormouse/admin"
)

// A retainedCmd is about retained messages.
type retainedCmd struct {
	Ls  retainedLsCmd  `cmd:"" help:"List retained messages."`
	Get retainedGetCmd `cmd:"" help:"Print the retained message of a topic, as it is."`
	Rm  retainedRmCmd  `cmd:"" help:"Remove retained messages, as an empty retained message does."`
}

type retainedLsCmd struct {
	inquiry
	Filter string `arg:"" optional:"" default:"#" help:"Topic filter. By default all but $$SYS."`
}

// errNothing asks for statusFailed without a word: an empty list says it all.
var errNothing = &failure{statusFailed, nil}

// Run prints a line for each message.
func (c *retainedLsCmd) Run(s *streams) error {
	n, err := show(&c.inquiry, s.out, "/v1/retained", url.Values{"filter": {c.Filter}},
		cells("TOPIC", "BYTES", "QOS", "PUBLISHER", "PUBLISHED", "EXPIRES"), func(m admin.Retained) string {
			return cells(cell(m.Topic), m.Bytes, m.QoS, cell(m.Publisher), moment(m.Published), moment(m.Expires))
		})
	if err == nil && n == 0 {
		return errNothing
	}
	return err
}

type retainedGetCmd struct {
	inquiry
	Topic string `arg:"" help:"The topic."`
}

// Run prints the payload and nothing else, but for the end of the line on a
// terminal.
func (c *retainedGetCmd) Run(s *streams) error {
	return c.ask(http.MethodGet, "/v1/retained/message", url.Values{"topic": {c.Topic}}, func(body io.Reader) error {
		if c.Output == "json" {
			_, err := io.Copy(s.out, body)
			return err
		}
		var m admin.RetainedMessage
		if err := json.NewDecoder(body).Decode(&m); err != nil {
			return err
		}
		payload := m.Octets()
		if f, ok := s.out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
			payload = append(payload, '\n')
		}
		_, err := s.out.Write(payload)
		return err
	})
}

type retainedRmCmd struct {
	inquiry
	Filter string `arg:"" name:"topic" help:"The topic; or with --yes a filter."`
	Yes    bool   `help:"Remove whatever the filter matches."`
}

// Run removes the messages and says how many.
func (c *retainedRmCmd) Run(s *streams) error {
	if admin.IsFilter(c.Filter) && !c.Yes {
		return usage("%q is a filter, which may match a great deal: see \"dormouse retained ls\", then add --yes", c.Filter)
	}
	return c.ask(http.MethodDelete, "/v1/retained", url.Values{"filter": {c.Filter}}, func(body io.Reader) error {
		if c.Output == "json" {
			_, err := io.Copy(s.out, body)
			return err
		}
		var r admin.Removal
		if err := json.NewDecoder(body).Decode(&r); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.out, "removed", r.Removed)
		return err
	})
}
