package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A subCmd prints messages, as mqtt-sn-sub and mosquitto_sub do.
type subCmd struct {
	whom
	Topic      []string          `short:"t" sep:"none" placeholder:"FILTER" help:"Topic to subscribe to; may hold wildcards. Repeatable."`
	TopicID    []uint16          `short:"T" name:"topic-id" sep:"none" placeholder:"ID" help:"Predefined topic id to subscribe to (MQTT-SN). Repeatable."`
	Predefined map[uint16]string `placeholder:"ID=NAME" help:"Name to print for a predefined topic id. Repeatable."`
	QoS        int               `short:"q" name:"qos" default:"0" help:"Quality of service to ask for: 0, 1 or 2."`
	Once       bool              `short:"1" help:"Exit after one message."`
	Count      int               `short:"C" placeholder:"N" help:"Exit after N messages."`
	Wait       span              `short:"W" placeholder:"TIME" help:"Exit with status 27 after so long."`
	Sleep      span              `short:"e" placeholder:"TIME" help:"Sleep, and wake for messages every so often (MQTT-SN)."`
	Verbose    bool              `short:"v" help:"Print the topic before each message."`
	JSON       bool              `name:"json" help:"Print each message as a JSON object."`
}

// check finds flags that do not go together.
func (c *subCmd) check() error {
	if err := c.whom.check(); err != nil {
		return err
	}
	switch {
	case len(c.Topic)+len(c.TopicID) == 0, slices.Contains(c.Topic, ""), slices.Contains(c.TopicID, 0):
		return usage("give -t or -T: what to subscribe to")
	case slices.ContainsFunc(c.Topic, misplaced):
		return usage("-t has a wildcard that does not stand alone between slashes, or a # that is not last")
	case c.QoS < 0 || c.QoS > 2:
		return usage("-q is %d; it must be 0, 1 or 2", c.QoS)
	case c.Count < 0 || c.Once && c.Count > 1:
		return usage("-C is %d; it must be at least 1, and -1 is the same as -C 1", c.Count)
	case c.Verbose && c.JSON:
		return usage("give -v or --json")
	case c.MQTT && (len(c.TopicID) > 0 || c.Sleep != 0):
		return usage("-T and -e are for MQTT-SN; they do not go with --mqtt")
	}
	return nil
}

// misplaced reports whether a wildcard is where none may be, MQTT 3.1.1 §4.7.1.
// Whatever else there may be against a filter is for the server to say.
func misplaced(filter string) bool {
	last := strings.Count(filter, "/")
	for i, level := range strings.Split(filter, "/") {
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && i < last {
			return true
		}
	}
	return false
}

// Run subscribes and prints what comes, until there was enough of it.
func (c *subCmd) Run(s *streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	interrupted, cancel := interruptible()
	defer cancel()
	ctx := interrupted
	if c.Wait > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, time.Duration(c.Wait))
		defer stop()
	}
	r, err := c.connect(ctx, s, "sub")
	if err == nil {
		err = c.listen(ctx, r, s.out)
		goodbye, stop := context.WithTimeout(context.Background(), retryInterval)
		defer stop()
		if late := r.leave(goodbye, 0); err == nil {
			err = late
		}
	}
	switch {
	case interrupted.Err() != nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{statusTimeout, fmt.Errorf("%v have passed", time.Duration(c.Wait))}
	}
	return err
}

// listen prints messages until there are enough, or ctx is done. It does so
// while it still subscribes: a kept session's messages come at once, and a
// server may wait for them to be taken before it says anything else.
func (c *subCmd) listen(ctx context.Context, r remote, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	subscribed := make(chan struct{})
	go func() {
		defer close(subscribed)
		if err := c.subscribe(ctx, r); err != nil {
			cancel(err)
		}
	}()
	err := c.printAll(ctx, r, out)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	<-subscribed
	return err
}

func (c *subCmd) subscribe(ctx context.Context, r remote) error {
	topics := make([]topic, 0, len(c.Topic)+len(c.TopicID))
	for _, name := range c.Topic {
		topics = append(topics, topic{name: name})
	}
	for _, id := range c.TopicID {
		topics = append(topics, topic{id: id})
	}
	for _, t := range topics {
		if err := r.subscribe(ctx, t, c.QoS); err != nil {
			return err
		}
	}
	if c.Sleep > 0 {
		return r.sleep(ctx, time.Duration(c.Sleep))
	}
	return nil
}

func (c *subCmd) printAll(ctx context.Context, r remote, out io.Writer) error {
	enough := c.Count
	if c.Once {
		enough = 1
	}
	for n := 0; n < enough || enough == 0; n++ {
		m, err := r.receive(ctx)
		if err != nil {
			return err
		}
		if err := c.print(m, out); err != nil {
			return err
		}
	}
	return nil
}

// print writes one message. As in mosquitto_sub, it is written as it came.
func (c *subCmd) print(m message, out io.Writer) error {
	if name, ok := c.Predefined[m.topic.id]; ok && m.topic.name == "" {
		m.topic.name = name
	}
	if c.JSON {
		return printJSON(m, out)
	}
	var line []byte
	if c.Verbose {
		line = append([]byte(m.topic.String()), ' ')
	}
	line = append(append(line, m.payload...), '\n')
	_, err := out.Write(line)
	return err
}

// printJSON writes a payload that is not UTF-8 in base64, under another name.
func printJSON(m message, out io.Writer) error {
	o := struct {
		Topic   string  `json:"topic"`
		Payload *string `json:"payload,omitempty"`
		Base64  []byte  `json:"payload_base64,omitempty"`
		QoS     int     `json:"qos"`
		Retain  bool    `json:"retain"`
	}{Topic: m.topic.String(), QoS: m.qos, Retain: m.retain}
	if utf8.Valid(m.payload) {
		text := string(m.payload)
		o.Payload = &text
	} else {
		o.Base64 = m.payload
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(o)
}
