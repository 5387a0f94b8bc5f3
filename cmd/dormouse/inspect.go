package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"dormouse/core/store"
	"dormouse/core/store/disk"
)

// A storeCmd is about the store of a server that does not run.
type storeCmd struct {
	Inspect storeInspectCmd `cmd:"" help:"Count what is kept; or show a session, or the retained message of a topic."`
}

type storeInspectCmd struct {
	settings
	Session string `placeholder:"ID" help:"Show what is kept for this client."`
	Topic   string `placeholder:"TOPIC" help:"Print the payload of what is retained at this topic."`
}

// Run reads the store that the configuration names, and changes nothing.
func (c *storeInspectCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.Session != "" && c.Topic != "" {
		return usage("--session and --topic are two questions; ask one")
	}
	switch {
	case c.Session != "":
		return inspectSession(s.out, cfg.DataDir, c.Session)
	case c.Topic != "":
		return inspectTopic(s.out, cfg.DataDir, c.Topic)
	}
	counts, err := disk.Verify(cfg.DataDir, nil)
	if err != nil {
		return err
	}
	size, err := sizeOf(cfg.DataDir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%v; %d octets in %s\n", counts, size, cfg.DataDir)
	return err
}

// sizeOf is the octets of all files in a directory.
func sizeOf(dir string) (n int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		i, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		n += i.Size()
	}
	return n, err
}

// inspectSession prints what is kept for one client.
func inspectSession(out io.Writer, dir, id string) error {
	var session *store.Session
	var filters []string
	waiting, octets, inflight := 0, 0, 0
	err := disk.Inspect(dir, nil, func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Session:
			if f.ClientID == id {
				session = f
			}
		case *store.Subscribed:
			if f.ClientID == id {
				filters = append(filters, fmt.Sprintf("%s, QoS %d", quoted(f.Filter), f.QoS))
			}
		case *store.Published:
			for r := range f.Receivers {
				if r.ClientID == id {
					waiting++
					octets += len(f.Message.Payload)
				}
			}
		case *store.Taken:
			if f.ClientID == id {
				inflight++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if session == nil {
		return fmt.Errorf("no session of %q is kept", id)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(table, "%s\t%v\n", name, value) }
	row("client", quoted(session.ClientID))
	row("user", quoted(session.User))
	row("session ends", moment(session.Ends))
	if w := session.Will; w != nil {
		row("will", fmt.Sprintf("%s, QoS %d%s", quoted(w.Topic), w.QoS, also(w.Retain, "retained")))
	}
	row("waiting", fmt.Sprintf("%d messages, %d octets", waiting, octets))
	row("in flight", inflight)
	row("subscriptions", len(filters))
	for _, f := range slices.Sorted(slices.Values(filters)) {
		fmt.Fprintf(table, "\t%s\n", f)
	}
	return table.Flush()
}

// inspectTopic prints the payload that is retained at a topic.
func inspectTopic(out io.Writer, dir, topic string) error {
	var retained *store.Message
	err := disk.Inspect(dir, nil, func(f store.Fact) error {
		switch f := f.(type) {
		case *store.Published:
			if f.Message.Retain && f.Message.Topic == topic { // the last is the one
				retained = f.Message
			}
		case *store.Unretained:
			if f.Topic == topic {
				retained = nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if retained == nil {
		return fmt.Errorf("nothing is retained at %q", topic)
	}
	_, err = out.Write(retained.Payload)
	return err
}
