package main

import (
	"bufio"
	"context"
	"io"
	"iter"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"dormouse/mqttsn"
)

// A pubCmd publishes messages, as mqtt-sn-pub and mosquitto_pub do.
type pubCmd struct {
	whom
	Topic   string  `short:"t" placeholder:"TOPIC" help:"Topic name. Two octets are sent as a short name."`
	TopicID uint16  `short:"T" name:"topic-id" placeholder:"ID" help:"Predefined topic id, in place of -t (MQTT-SN)."`
	Message *octets `short:"m" placeholder:"TEXT" help:"Message to send."`
	File    string  `short:"f" placeholder:"FILE" help:"Send the content of a file."`
	Lines   bool    `short:"l" help:"Send each line of standard input."`
	Stdin   bool    `short:"s" help:"Send all of standard input as one message."`
	Null    bool    `short:"n" help:"Send an empty message."`
	QoS     int     `short:"q" name:"qos" default:"0" help:"Quality of service: 0, 1, 2, or -1 to publish without a connection (MQTT-SN)."`
	Retain  bool    `short:"r" help:"Have the message retained."`
	Sleep   span    `short:"e" placeholder:"TIME" help:"Sleep for so long rather than disconnect (MQTT-SN)."`
}

// check finds flags that do not go together.
func (c *pubCmd) check() error {
	if err := c.whom.check(); err != nil {
		return err
	}
	sources := 0
	for _, given := range []bool{c.Message != nil, c.File != "", c.Lines, c.Stdin, c.Null} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return usage("give one of -m, -f, -l, -s and -n: what to send")
	case (c.Topic == "") == (c.TopicID == 0):
		return usage("give either -t or -T: where to send it")
	case strings.ContainsAny(c.Topic, "+#"):
		return usage("-t is %q; one publishes to a topic without wildcards", c.Topic)
	case c.QoS < -1 || c.QoS > 2:
		return usage("-q is %d; it must be -1, 0, 1 or 2", c.QoS)
	case c.MQTT && (c.TopicID != 0 || c.QoS == -1 || c.Sleep != 0):
		return usage("-T, -q -1 and -e are for MQTT-SN; they do not go with --mqtt")
	}
	return nil
}

// Run publishes.
func (c *pubCmd) Run(s *streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	ctx, cancel := interruptible()
	defer cancel()
	r, err := c.reach(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		if late := c.part(ctx, r); err == nil {
			err = late
		}
	}()
	for payload, err := range c.payloads(s.in) {
		if err == nil {
			err = r.publish(ctx, message{topic{c.Topic, c.TopicID}, payload, c.QoS, c.Retain})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// octets are a flag's value as it was typed. Without this, kong would replace
// what is not UTF-8.
type octets string

// Decode takes the value from the command line.
func (o *octets) Decode(ctx *kong.DecodeContext) error {
	t, err := ctx.Scan.PopValue("text")
	if err != nil {
		return err
	}
	*o = octets(t.String())
	return nil
}

// withoutConnection is whether the messages need none, 1.2 §6.8.
func (c *pubCmd) withoutConnection() bool { return mqttsn.QoS(c.QoS) == mqttsn.QoSMinusOne }

func (c *pubCmd) reach(ctx context.Context, s *streams) (remote, error) {
	if c.withoutConnection() {
		return c.dialSN(ctx, s, "pub")
	}
	return c.connect(ctx, s, "pub")
}

func (c *pubCmd) part(ctx context.Context, r remote) error {
	if c.withoutConnection() {
		return r.(*snRemote).Close()
	}
	return r.leave(ctx, time.Duration(c.Sleep))
}

// payloads yields what is to be sent.
func (c *pubCmd) payloads(in io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		switch {
		case c.Message != nil:
			yield([]byte(*c.Message), nil)
		case c.File != "":
			yield(os.ReadFile(c.File))
		case c.Stdin:
			yield(io.ReadAll(in))
		case c.Null:
			yield(nil, nil)
		case c.Lines:
			lines := bufio.NewScanner(in)
			lines.Buffer(nil, longestLine)
			for lines.Scan() {
				if !yield(lines.Bytes(), nil) {
					return
				}
			}
			if err := lines.Err(); err != nil {
				yield(nil, err)
			}
		}
	}
}

// longestLine bounds a message that is read from a line, in octets.
const longestLine = 1 << 20

// interruptible returns a context that ends with SIGINT or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}
