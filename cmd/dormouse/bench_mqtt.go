package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/sim/udp"
)

// A benchMQTT are the flags of all that speak MQTT 3.1.1.
type benchMQTT struct {
	crowd
	Host     string  `short:"h" default:"127.0.0.1" help:"Host of the server."`
	Port     uint16  `short:"p" placeholder:"PORT" help:"Its port. By default 1883, or 8883 for TLS."`
	Username *string `short:"u" placeholder:"NAME" help:"User name."`
	Password *string `short:"P" placeholder:"PASSWORD" help:"Password."`
	trust
	Owned bool `name:"i-own-this-target" help:"Run against an address that is neither of this machine nor private. Whoever is there must have agreed."`
}

func (c *benchMQTT) whom() *whom {
	return &whom{Host: c.Host, Port: c.Port, MQTT: true, KeepAlive: c.KeepAlive, Keep: c.Clean == "false", ID: c.IDPrefix,
		Username: c.Username, Password: c.Password, trust: c.trust}
}

// check finds what cannot be, and targets that are not ours.
func (c *benchMQTT) check(ctx context.Context) error {
	if err := c.crowd.check(); err != nil {
		return err
	}
	w := c.whom()
	w.ID = "checked" // each client gets its own
	if err := w.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", w.server().Hostname())
	if err != nil {
		return &failure{statusUnreachable, err}
	}
	for _, a := range addrs {
		if err := udp.Allowed(a); err != nil && !c.Owned {
			return usage("%w; if it is yours, add --i-own-this-target", err)
		}
	}
	return nil
}

// A throng is a crowd of MQTT clients at work.
type throng struct {
	flags  *benchMQTT
	prefix string
	work   func(ctx context.Context, b *throng, c mqtt.Client, number int) error // with each client, once it is connected
	heard  mqtt.MessageHandler

	connected, failed, published, received, lost atomic.Int64

	mu      sync.Mutex
	connect *hdrhistogram.Histogram // microseconds, CONNECT to CONNACK
	answer  *hdrhistogram.Histogram // PUBLISH to its acknowledgement
	last    error                   // of the latest client that failed
}

// slowest is the longest time that is told from longer ones, in microseconds.
const slowest = int64(time.Hour / time.Microsecond)

func (c *benchMQTT) run(s *streams, work func(context.Context, *throng, mqtt.Client, int) error) error {
	ctx, stop := interruptible()
	defer stop()
	if err := c.check(ctx); err != nil {
		return err
	}
	b := &throng{flags: c, prefix: c.idPrefix(), work: work,
		connect: hdrhistogram.New(1, slowest, 3), answer: hdrhistogram.New(1, slowest, 3)}
	b.heard = func(mqtt.Client, mqtt.Message) { b.received.Add(1) }
	ctx, cancel := context.WithTimeout(ctx, c.arrival()+time.Duration(c.Duration))
	defer cancel()
	began := time.Now()
	var clients sync.WaitGroup
	clients.Go(func() {
		for i := range c.Count {
			if !pause(ctx, time.Until(began.Add(c.arrival()*time.Duration(i)/time.Duration(c.Count)))) {
				return
			}
			clients.Go(func() { b.client(ctx, c.Start+i) })
		}
	})
	go func() {
		clients.Wait()
		cancel() // all of them may have failed before the time is over
	}()
	b.tell(ctx, s.err, began)
	clients.Wait()
	return b.sum(s.out)
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// client lives one client's life.
func (b *throng) client(ctx context.Context, number int) {
	w := b.flags.whom()
	o := mqtt.NewClientOptions().
		AddBroker("tcp://" + w.server().Host). // for its log; the connection is ours
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return w.dialMQTT(ctx) }).
		SetProtocolVersion(4).
		SetClientID(b.prefix + strconv.Itoa(number)).
		SetCleanSession(!w.Keep).
		SetKeepAlive(time.Duration(w.KeepAlive)).
		SetConnectTimeout(patience).
		SetAutoReconnect(false).
		SetDefaultPublishHandler(b.heard).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { b.gone(err) })
	if w.Username != nil {
		o.SetUsername(*w.Username)
	}
	if w.Password != nil {
		o.SetPassword(*w.Password)
	}
	c := mqtt.NewClient(o)
	began := time.Now()
	if err := w.connected(wait(ctx, c.Connect())); err != nil {
		if ctx.Err() == nil {
			b.fail(err)
		}
		return
	}
	b.record(b.connect, began)
	b.connected.Add(1)
	err := b.work(ctx, b, c, number)
	if err != nil && ctx.Err() == nil {
		b.fail(err)
	}
	const goodbye = 250 // ms
	c.Disconnect(goodbye)
}

func (b *throng) record(h *hdrhistogram.Histogram, began time.Time) {
	us := min(slowest, max(1, time.Since(began).Microseconds()))
	b.mu.Lock()
	defer b.mu.Unlock()
	h.RecordValue(us)
}

func (b *throng) fail(err error) {
	b.failed.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = err
}

func (b *throng) gone(err error) {
	b.lost.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = err
}

// tell writes a line each second, until ctx ends.
func (b *throng) tell(ctx context.Context, out io.Writer, began time.Time) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before [3]int64
	for {
		select {
		case now := <-tick.C:
			line := fmt.Sprintf("%s:", now.Sub(began).Round(time.Second))
			for i, f := range []struct {
				name string
				n    int64
			}{{"connected", b.connected.Load()}, {"published", b.published.Load()}, {"received", b.received.Load()}} {
				if f.n > 0 {
					line += fmt.Sprintf(" %s %d, %d/s;", f.name, f.n, f.n-before[i])
				}
				before[i] = f.n
			}
			fmt.Fprintln(out, strings.TrimRight(line, ";:"))
		case <-ctx.Done():
			return
		}
	}
}

// sum writes what came of it. The error says that clients failed.
func (b *throng) sum(out io.Writer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(out, "clients    %d connected, %d failed, %d lost later\n", b.connected.Load(), b.failed.Load(), b.lost.Load())
	if n := b.published.Load(); n > 0 {
		fmt.Fprintf(out, "published  %d\n", n)
	}
	if n := b.received.Load(); n > 0 {
		fmt.Fprintf(out, "received   %d\n", n)
	}
	for _, l := range []struct {
		name string
		h    *hdrhistogram.Histogram
	}{{"connect", b.connect}, {"publish", b.answer}} {
		if l.h.TotalCount() > 0 {
			us := func(q float64) time.Duration {
				return (time.Duration(l.h.ValueAtQuantile(q)) * time.Microsecond).Round(10 * time.Microsecond)
			}
			fmt.Fprintf(out, "%s    p50 %v, p90 %v, p99 %v, most %v\n", l.name, us(50), us(90), us(99), us(100))
		}
	}
	switch failed := b.failed.Load() + b.lost.Load(); {
	case failed == 0:
		return nil
	case b.connected.Load() == 0:
		return b.last // with the exit status that it asks for
	default:
		return fmt.Errorf("%d of %d clients have failed, the last with: %w", failed, b.flags.Count, b.last)
	}
}

// fill puts a client's own into a topic.
func (b *throng) fill(topic string, number int) string {
	user := ""
	if b.flags.Username != nil {
		user = *b.flags.Username
	}
	i := strconv.Itoa(number)
	return strings.NewReplacer("%%", "%", "%i", i, "%c", b.prefix+i, "%u", user).Replace(topic)
}

type benchPubCmd struct {
	benchMQTT
	Topic  string `short:"t" required:"" placeholder:"TOPIC" help:"Topic; %i is the number of the client, %c its id, %u the user name."`
	Every  int    `short:"I" name:"interval-of-msg" default:"1000" help:"Milliseconds between two messages of a client."`
	Size   int    `short:"s" default:"256" help:"Octets of a message."`
	QoS    int    `short:"q" name:"qos" default:"0" help:"Quality of service: 0, 1 or 2."`
	Retain bool   `short:"r" help:"Have the messages retained."`
}

// Run runs it.
func (c *benchPubCmd) Run(s *streams) error {
	switch {
	case c.QoS < 0 || c.QoS > 2:
		return usage("-q is %d; it must be 0, 1 or 2", c.QoS)
	case c.Every < 1:
		return usage("-I is %d; it must be 1 or more", c.Every)
	case c.Size < 0:
		return usage("-s is %d; it must be 0 or more", c.Size)
	}
	payload := []byte(strings.Repeat("x", c.Size))
	return c.run(s, func(ctx context.Context, b *throng, client mqtt.Client, number int) error {
		topic := b.fill(c.Topic, number)
		tick := time.NewTicker(time.Duration(c.Every) * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			began := time.Now()
			// The last is waited for as well: what was sent is to be counted.
			if err := wait(context.WithoutCancel(ctx), client.Publish(topic, byte(c.QoS), c.Retain, payload)); err != nil {
				return err
			}
			b.published.Add(1)
			if c.QoS > 0 {
				b.record(b.answer, began)
			}
		}
	})
}

type benchSubCmd struct {
	benchMQTT
	Topic string `short:"t" required:"" placeholder:"TOPIC" help:"Topic filter; %i is the number of the client, %c its id, %u the user name."`
	QoS   int    `short:"q" name:"qos" default:"0" help:"Quality of service: 0, 1 or 2."`
}

// Run runs it.
func (c *benchSubCmd) Run(s *streams) error {
	if c.QoS < 0 || c.QoS > 2 {
		return usage("-q is %d; it must be 0, 1 or 2", c.QoS)
	}
	return c.run(s, func(ctx context.Context, b *throng, client mqtt.Client, number int) error {
		topic := b.fill(c.Topic, number)
		token := client.Subscribe(topic, byte(c.QoS), nil)
		if err := wait(ctx, token); err != nil {
			return err
		}
		if granted := token.(*mqtt.SubscribeToken).Result()[topic]; granted > 2 {
			return fmt.Errorf("SUBSCRIBE to %s refused", topic)
		}
		<-ctx.Done()
		return nil
	})
}

type benchConnCmd struct{ benchMQTT }

// Run runs it.
func (c *benchConnCmd) Run(s *streams) error {
	return c.run(s, func(ctx context.Context, _ *throng, _ mqtt.Client, _ int) error {
		<-ctx.Done()
		return nil
	})
}
