package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/payload"
	"dormouse/sim/workload"
)

// A benchCmd is load in one line, with emqtt-bench's letters.
type benchCmd struct {
	SNPub  benchSNPubCmd  `cmd:"" name:"sn-pub" help:"MQTT-SN clients that publish."`
	SNSub  benchSNSubCmd  `cmd:"" name:"sn-sub" help:"MQTT-SN clients that subscribe, and are sent messages."`
	SNConn benchSNConnCmd `cmd:"" name:"sn-conn" help:"MQTT-SN clients that connect, and stay."`
	Pub    benchPubCmd    `cmd:"" help:"MQTT clients that publish."`
	Sub    benchSubCmd    `cmd:"" help:"MQTT clients that subscribe."`
	Conn   benchConnCmd   `cmd:"" help:"MQTT clients that connect, and stay."`
	Table  benchTableCmd  `cmd:"" help:"Measure what Dormouse does on this machine, beside what can be done."`
	Echo   benchEchoCmd   `cmd:"" help:"Send back what comes by UDP: the most that this machine can do."`
}

// A crowd are the flags that say how many clients there are, and how they
// connect.
type crowd struct {
	Count     int    `short:"c" default:"200" help:"Clients."`
	Start     int    `short:"n" name:"startnumber" default:"0" help:"Number of the first."`
	Interval  int    `short:"i" default:"10" help:"Milliseconds between the connects of two."`
	Rate      int    `short:"R" name:"connrate" placeholder:"N" help:"Connects per second, in place of -i."`
	KeepAlive span   `short:"k" name:"keepalive" default:"300s" help:"Keep alive period: whole seconds, or such as 5m."`
	Clean     string `short:"C" enum:"true,false" default:"true" help:"Ask for clean sessions: true or false."`
	IDPrefix  string `name:"prefix" placeholder:"TEXT" help:"What client ids begin with; the number of the client follows. By default one of its own."`
	Duration  period `default:"1m" help:"How long to go on when all have been let in."`
}

// check finds figures that cannot be.
func (c *crowd) check() error {
	switch {
	case c.Count < 1:
		return usage("-c is %d; it must be 1 or more", c.Count)
	case c.Start < 0:
		return usage("-n is %d; it must be 0 or more", c.Start)
	case c.Interval < 0 || c.Rate < 0:
		return usage("-i and -R cannot be below 0")
	case c.KeepAlive > span(65535*time.Second):
		return usage("-k is %v; it must be at most 65535s", time.Duration(c.KeepAlive))
	case c.Duration == 0:
		return usage("--duration is 0; it must be more")
	}
	return nil
}

// arrival is how long it takes until all have connected.
func (c *crowd) arrival() time.Duration {
	if c.Rate > 0 {
		return time.Duration(float64(c.Count) / float64(c.Rate) * float64(time.Second))
	}
	return time.Duration(c.Count) * time.Duration(c.Interval) * time.Millisecond
}

// idPrefix is what client ids begin with: unless it is given, nobody else's.
func (c *crowd) idPrefix() string {
	if c.IDPrefix != "" {
		return c.IDPrefix
	}
	return "bench-" + strings.ToLower(rand.Text()[:6]) + "-"
}

// A benchSN are the flags of all that speak MQTT-SN.
type benchSN struct {
	crowd
	site
	outputs
	Config  *string `placeholder:"FILE" help:"Configuration of the Dormouse that is run against."`
	Virtual bool    `help:"Run in virtual time against a Dormouse in this process, rather than over UDP. By default the gateway is the one on 127.0.0.1."`
	Seed    uint64  `default:"1" placeholder:"N" help:"Seed of all that is left to chance."`
}

// local is where the gateway is unless another is named.
const local = "127.0.0.1"

// aim says what is run against. The function that it returns adds to an error
// what to do where nobody answers and nobody was named.
func (c *benchSN) aim() (hint func(error) error, err error) {
	hint = func(err error) error { return err }
	switch {
	case c.Virtual && (c.Host != "" || c.Serve):
		return nil, usage("--virtual is a run in this process; it does not go with -h or --serve")
	case c.Virtual || c.Host != "" || c.Serve:
		return hint, nil
	case len(c.Set) > 0 || c.Config != nil:
		return nil, usage("--set and --config are for a Dormouse that is started here: add --serve or --virtual")
	}
	c.Host = local
	return func(err error) error {
		if f := (*failure)(nil); errors.As(err, &f) && f.status == statusUnreachable {
			return &failure{f.status, fmt.Errorf("%w; name another with -h, or add --serve to have one started", err)}
		}
		return err
	}, nil
}

// settleFor is how long answers may take after the end.
const settleFor = 5 * time.Second

// run runs a plan of one group, which does what w says. Its own letters are for
// the line that repeats the run.
func (c *benchSN) run(s *streams, name string, topic string, w workload.Config, letters string) error {
	if err := c.crowd.check(); err != nil {
		return err
	}
	hint, err := c.aim()
	if err != nil {
		return err
	}
	g := &sim.Group{
		Name:     "bench",
		Count:    c.Count,
		From:     c.Start,
		ClientID: strings.ReplaceAll(c.idPrefix(), "%", "%%") + "%i",
		Firmware: sim.Full,
		Client:   client.DefaultConfig(),
		Session:  sim.Session{KeepAlive: time.Duration(c.KeepAlive), CleanSession: c.Clean == "true"},
		Workload: w,
	}
	if topic != "" {
		g.Topics = []sim.Topic{spelt(topic)}
	}
	if errs := g.Validate(); len(errs) > 0 {
		return &failure{statusUsage, benchErrors(errs)}
	}
	p := &sim.Plan{
		Name: "bench " + name, Seed: c.Seed, Settle: settleFor,
		About:  fmt.Sprintf("dormouse bench %s of %d clients", name, c.Count),
		Groups: []*sim.Group{g},
		Stages: []sim.Stage{{Name: name, For: time.Duration(c.Duration)}},
	}
	if over := c.arrival(); over > 0 {
		p.Stages = append([]sim.Stage{{Name: "connect", For: over, Arrive: map[string]sim.Ramp{g.Name: {Over: over}}}}, p.Stages...)
	}
	r := trial{
		plan: p, command: "dormouse bench " + name + letters + c.line(),
		settings: settings{c.Config, c.Set}, site: &c.site, outputs: &c.outputs,
	}
	return hint(r.run(s))
}

// line is the part of the command line that repeats the run which all have.
func (c *benchSN) line() string {
	line := fmt.Sprintf(" -c %d -k %s -C %s --duration %s --seed %d", c.Count, briefly(time.Duration(c.KeepAlive)), c.Clean, briefly(time.Duration(c.Duration)), c.Seed)
	if c.Rate > 0 {
		line += fmt.Sprintf(" -R %d", c.Rate)
	} else {
		line += fmt.Sprintf(" -i %d", c.Interval)
	}
	if c.Start > 0 {
		line += fmt.Sprintf(" -n %d", c.Start)
	}
	if c.IDPrefix != "" {
		line += " --prefix " + quoted(c.IDPrefix)
	}
	if c.Virtual {
		line += " --virtual"
	}
	return line + c.where()
}

// spelt chooses the shortest way to say a topic.
func spelt(name string) sim.Topic {
	t := sim.Topic{Name: name}
	if _, short := client.Short(name); short && !strings.Contains(name, "%") {
		t.Kind = sim.Short
	}
	return t
}

// benchErrors says what is wrong with a group in terms of flags.
func benchErrors(errs []error) error {
	flags := map[string]string{
		"client_id": "--prefix", "commands.topic": "-t", "topics[0].name": "-t", "topics[0]": "-t",
		"commands.every": "-I", "reports.every": "-I", "reports.qos": "-q", "commands.qos": "-q",
		"reports.payload.size": "-s", "commands.payload.size": "-s", "keep_alive": "-k",
	}
	var said []error
	for _, err := range errs {
		var key *sim.KeyError
		if errors.As(err, &key) {
			if flag, ok := flags[key.Key]; ok {
				err = fmt.Errorf("%s %w", flag, key.Err)
			}
		}
		said = append(said, err)
	}
	return errors.Join(said...)
}

// named fills in the user name, which is the same for all.
func (c *benchSN) named(topic string) string {
	user := ""
	if c.Username != nil {
		user = strings.ReplaceAll(*c.Username, "%", "%%")
	}
	return strings.ReplaceAll(topic, "%u", user)
}

type benchSNPubCmd struct {
	benchSN
	Topic  string `short:"t" required:"" placeholder:"TOPIC" help:"Topic; %i is the number of the client, %c its id, %u the user name."`
	Every  int    `short:"I" name:"interval-of-msg" default:"1000" help:"Milliseconds between two messages of a client."`
	Size   int    `short:"s" default:"256" help:"Octets of a message."`
	QoS    int    `short:"q" name:"qos" default:"0" help:"Quality of service: -1, 0, 1 or 2."`
	Retain bool   `short:"r" help:"Have the messages retained."`
}

// Run runs it.
func (c *benchSNPubCmd) Run(s *streams) error {
	if c.QoS < -1 || c.QoS > 2 {
		return usage("-q is %d; it must be -1, 0, 1 or 2", c.QoS)
	}
	if c.Every < 1 {
		return usage("-I is %d; it must be 1 or more", c.Every)
	}
	return c.run(s, "sn-pub", c.named(c.Topic), workload.Config{Reports: workload.Reports{
		Every:   time.Duration(c.Every) * time.Millisecond,
		QoS:     mqttsn.QoS(c.QoS),
		Retain:  c.Retain,
		Payload: payload.Config{Format: payload.Fixed, Size: c.Size},
	}}, fmt.Sprintf(" -t %s -I %d -s %d -q %d", quoted(c.Topic), c.Every, c.Size, c.QoS))
}

type benchSNSubCmd struct {
	benchSN
	Topic string `short:"t" required:"" placeholder:"TOPIC" help:"Topic to subscribe to; %i is the number of the client, %c its id, %u the user name. Without %i and %c all have the same."`
	Every int    `short:"I" name:"interval-of-msg" default:"1000" help:"Milliseconds between two messages that each client is sent; 0: none."`
	Size  int    `short:"s" default:"256" help:"Octets of a message."`
	QoS   int    `short:"q" name:"qos" default:"0" help:"Quality of service: 0, 1 or 2."`
}

// Run runs it.
func (c *benchSNSubCmd) Run(s *streams) error {
	if c.QoS < 0 || c.QoS > 2 {
		return usage("-q is %d; it must be 0, 1 or 2", c.QoS)
	}
	if c.Every < 0 {
		return usage("-I is %d; it must be 0 or more", c.Every)
	}
	topic := c.named(c.Topic)
	return c.run(s, "sn-sub", "", workload.Config{Commands: workload.Commands{
		Every:     time.Duration(c.Every) * time.Millisecond,
		Topic:     topic,
		Broadcast: !strings.Contains(topic, "%i") && !strings.Contains(topic, "%c"),
		QoS:       mqttsn.QoS(c.QoS),
		Payload:   payload.Config{Format: payload.Fixed, Size: c.Size},
	}}, fmt.Sprintf(" -t %s -I %d -s %d -q %d", quoted(c.Topic), c.Every, c.Size, c.QoS))
}

type benchSNConnCmd struct{ benchSN }

// Run runs it.
func (c *benchSNConnCmd) Run(s *streams) error { return c.run(s, "sn-conn", "", workload.Config{}, "") }
