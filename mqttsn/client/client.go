// Package client is the sensor's side of MQTT-SN.
//
// [Conn] is for programs: it blocks, and it brings its own socket and clock.
// Start with [Dial], and with [Discover] if nobody knows where the gateway is.
// With a [Dialer.Reconnect] it comes back by itself when it has lost its
// connection.
//
// [Client] is what Conn is built on, a state machine that does no input or
// output. It is told what its owner wants ([Client.Connect], [Client.Publish],
// [Client.Sleep], …) and what happened ([Client.Handle], [Client.Tick]), and
// appends what must be done to an [Actions]. It starts no goroutine, reads no
// clock and takes no lock, so that a million of them fit in one process, in
// virtual time if need be. Who drives it:
//
//  1. sends the datagrams in order, and takes the Messages;
//  2. looks at Ended, whether the request under way has come to its end, and
//     at Gone, whether the virtual connection has; a [Backoff] says how long
//     to wait then before connecting again;
//  3. calls Tick at Deadline, which any call may have changed;
//  4. keeps the radio on while the client Awaits something.
//
// One request is under way at a time, as 1.2 §6.5, §6.6 and §6.9 have it, and
// is sent again until the gateway answers, §6.13. Publishing at QoS -1 and 0
// needs no answer. [Finder] is the same for discovery, §6.1, before there is a
// connection.
//
// A client does all of the specification. Firmware in the field does not:
// [Emcute], [Paho] and [Zephyr] return a [Config] with the manners of theirs,
// for who wants to know how a gateway gets on with them.
//
// The package shares no code with the gateway's side: a misread paragraph must
// not be misread twice and pass.
package client

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A State is a client's state as the client sees it, 1.2 §6.14.
type State uint8

const (
	Disconnected State = iota
	Connecting         // CONNECT or a step of the will dialogue is unanswered
	Active
	Dozing  // the request to sleep is unanswered
	Asleep  // the radio is off
	Awake   // PINGREQ has asked for what the gateway keeps, PINGRESP has not come
	Leaving // DISCONNECT is unanswered
	numStates
)

func (s State) String() string {
	return [...]string{"disconnected", "connecting", "active", "dozing", "asleep", "awake", "leaving"}[s]
}

// The timers of a client.
type timer uint8

const (
	retry timer = iota // the request under way waits for an answer
	ping               // Active: the gateway has to be asked whether it is there
	numTimers
)

// A Client is one client's end of a virtual connection. Use [New]. What only a
// busy client needs is allocated when it gets busy: a sleeper costs this
// struct and the names of its topics.
type Client struct {
	cfg      *Config
	session  Session
	deadline [numTimers]clock.Time
	x        *exchange // the request under way, or nil
	topics   topics
	taken    []uint16 // QoS 2 messages that wait for PUBREL
	sleep    time.Duration
	patience clock.Time // when what is spared may be asked for again
	spared   uint32     // types of packets refused for congestion
	lastID   uint16     // MsgId of the last request

	lastTaken uint16 // MsgId of the last QoS 1 message
	pings     uint8  // unanswered
	version   mqttsn.Version
	state     State
}

// New returns a client that speaks v and has not connected yet. cfg is shared
// and must not change.
func New(v mqttsn.Version, cfg *Config) *Client { return &Client{version: v, cfg: cfg} }

// State returns the client's state.
func (c *Client) State() State { return c.state }

// Busy reports whether a request is under way. Until it has Ended no other can
// be made, except Connect, Disconnect and Publish at QoS -1.
func (c *Client) Busy() bool { return c.x != nil }

// Deadline returns when Tick is next wanted, or zero for never. It may change
// with every call.
func (c *Client) Deadline() clock.Time { return clock.Sooner(c.deadline[retry], c.deadline[ping]) }

type states uint8

// Where a packet may come, in columns: Connecting, Active, Dozing, aSleep but
// talking, aWake, Leaving. To a client that is disconnected, or asleep in
// silence, nothing may come.
const (
	_C_____ states = 1 << Connecting
	__A____ states = 1 << Active
	__A_S__ states = __A____ | 1<<Asleep
	__A__W_ states = __A____ | 1<<Awake
	__AD_W_ states = __A__W_ | 1<<Dozing
	_CADSWL states = _C_____ | __AD_W_ | 1<<Asleep | 1<<Leaving
)

// mayArrive is the table of 1.2 §6, from the client's side. Everything else is
// dropped: a copy that the network held up, or no business of a client's.
var mayArrive = [mqttsn.NumTypes]states{
	mqttsn.TypeConnack:       _C_____,
	mqttsn.TypeWilltopicreq:  _C_____,
	mqttsn.TypeWillmsgreq:    _C_____,
	mqttsn.TypeRegister:      __AD_W_,
	mqttsn.TypeRegack:        __A_S__,
	mqttsn.TypePublish:       __AD_W_,
	mqttsn.TypePuback:        __A_S__,
	mqttsn.TypePubrec:        __A_S__,
	mqttsn.TypePubrel:        __AD_W_,
	mqttsn.TypePubcomp:       __A_S__,
	mqttsn.TypeSuback:        __A____,
	mqttsn.TypeUnsuback:      __A____,
	mqttsn.TypePingreq:       __AD_W_,
	mqttsn.TypePingresp:      __A__W_,
	mqttsn.TypeDisconnect:    _CADSWL,
	mqttsn.TypeWilltopicresp: __A____,
	mqttsn.TypeWillmsgresp:   __A____,
}

// Handle takes in a packet from the gateway. It keeps nothing of p, but the
// Messages it yields alias p's octets.
func (c *Client) Handle(now clock.Time, p mqttsn.Packet, out *Actions) {
	if mayArrive[p.Type()]&(1<<c.state) == 0 || c.state == Asleep && c.x == nil {
		out.Stray++
		return
	}
	if c.state == Awake {
		c.await(now, c.x.packet) // the flush goes on, 1.2 §6.14
	}
	switch p := p.(type) {
	case *mqttsn.Connack:
		c.onConnack(now, p, out)
	case *mqttsn.Willtopicreq:
		c.onWilltopicreq(now, out)
	case *mqttsn.Willmsgreq:
		c.onWillmsgreq(now, out)
	case *mqttsn.Register:
		c.onRegister(p, out)
	case *mqttsn.Regack:
		c.onRegack(now, p, out)
	case *mqttsn.Publish:
		c.onPublish(p, out)
	case *mqttsn.Puback:
		c.onPuback(now, p, out)
	case *mqttsn.Pubrec:
		c.onPubrec(now, p, out)
	case *mqttsn.Pubrel:
		c.onPubrel(p, out)
	case *mqttsn.Pubcomp:
		c.onPubcomp(now, p, out)
	case *mqttsn.Suback:
		c.onSuback(now, p, out)
	case *mqttsn.Unsuback:
		c.onUnsuback(now, p, out)
	case *mqttsn.Pingreq:
		c.send(&mqttsn.Pingresp{}, out)
	case *mqttsn.Pingresp:
		c.onPingresp(now, out)
	case *mqttsn.Disconnect:
		c.onDisconnect(now, out)
	case *mqttsn.Willtopicresp:
		c.onWilltopicresp(now, p, out)
	case *mqttsn.Willmsgresp:
		c.onWillmsgresp(now, p, out)
	}
}

// Tick runs whatever timers have expired. A call too early does nothing.
func (c *Client) Tick(now clock.Time, out *Actions) {
	if c.deadline[retry].Reached(now) {
		c.onRetry(now, out)
	}
	if c.deadline[ping].Reached(now) {
		c.onPing(now, out)
	}
}

// answered notes that the gateway is there and heard us: the keep alive period
// begins anew. Three quarters of it leave room for a ping that is lost.
func (c *Client) answered(now clock.Time) {
	q, period := c.cfg.Quirks, c.session.KeepAlive
	switch {
	case c.state != Active || period == 0:
		c.pings, c.deadline[ping] = 0, 0
	case q.any(EmcutePings | ZephyrPings):
		if c.deadline[ping] == 0 { // connected just now
			c.deadline[ping] = now.Add(period)
		}
	case q.Has(PahoPings):
		if c.pings == 0 {
			c.deadline[ping] = now.Add(period)
		}
	default:
		c.pings = 0
		c.deadline[ping] = now.Add(period * 3 / 4)
	}
}

// onPing asks whether the gateway is there, 1.2 §6.11, and asks again soon
// enough for it not to give us up meanwhile.
func (c *Client) onPing(now clock.Time, out *Actions) {
	q, period := c.cfg.Quirks, c.session.KeepAlive
	again := c.pings > 0
	switch {
	case q.Has(EmcutePings):
		c.deadline[ping] = now.Add(period)
	case q.Has(PahoPings):
		c.pings, c.deadline[ping] = 1, 0
	case int(c.pings) > c.cfg.MaxRetries:
		c.lost(ErrNoAnswer, out)
		return
	default:
		c.pings++
		c.deadline[ping] = now.Add(c.pingAgain())
	}
	out.send(c.version, &out.answers.pingreq, again)
}

// pingAgain is how long to wait for PINGRESP.
func (c *Client) pingAgain() time.Duration {
	if c.cfg.Quirks.Has(ZephyrPings) {
		return c.cfg.RetryInterval
	}
	return min(c.cfg.RetryInterval, c.session.KeepAlive/4)
}

// ponged takes the answer to a ping.
func (c *Client) ponged(now clock.Time) {
	if c.pings > 0 && c.cfg.Quirks.Has(ZephyrPings) { // the next is due a period after that one
		c.deadline[ping] = c.deadline[ping].Add(c.session.KeepAlive - c.pingAgain())
	}
	c.pings = 0
	c.answered(now)
}

// lost is the end of the virtual connection, and of the request under way, at
// nobody's wish here.
func (c *Client) lost(why error, out *Actions) {
	connected := c.state != Connecting
	c.end(why, out)
	c.over()
	if connected {
		out.Gone = why
	}
}

// over leaves nothing of the virtual connection that could fire.
func (c *Client) over() {
	c.state = Disconnected
	c.x = nil
	c.deadline = [numTimers]clock.Time{}
	c.pings, c.sleep = 0, 0
}
