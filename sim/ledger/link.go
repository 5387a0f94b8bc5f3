package ledger

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// expiry is how long a session that is kept may be relied on without a sign of
// its device: gateways differ, and 1.2 does not say.
const expiry = time.Hour

// A link is a virtual connection as the gateway must see it.
type link struct {
	since     clock.Time // CONNACK passed
	left      clock.Time // DISCONNECT, the gateway's answer, passed
	gap       clock.Time // a silence ended for which the device may have been lost
	keepAlive seconds
	sleep     seconds // agreed on
	wish      seconds // asked for last
	wanted    uint16  // topic id of what the device has subscribed to last, by SUBACK; zero: none

	state     linkState
	clean     bool // so said the last CONNECT
	durable   bool // the session outlives the connection
	withWill  bool // so said the last CONNECT
	will      bool // WILLTOPIC has passed since
	told      bool // WILLMSG has passed since
	armed     bool // CONNACK has passed, and the gateway has a will
	moved     bool // see Book.Moved
	mixed     bool // it has, and the session may hold MsgIds of who was taken for it
	haunted   bool // the session may hold MsgIds of the device that are not known here
	strayed   bool // it has moved ever: datagrams that it sent before may be taken for another device's at any time
	restarted bool // the gateway, and it need not know of the connection
	fired     bool // the will has been published
	suspected bool // a will has, but perhaps it belongs to an earlier connection
}

// seconds is a duration as packets have it.
type seconds uint16

func inSeconds(d time.Duration) seconds { return seconds(d / time.Second) }

type linkState uint8

const (
	unknown    linkState = iota
	connecting           // from CONNECT to CONNACK
	connected
	leaving // DISCONNECT is unanswered
	gone    // it has been answered
	dropped // the gateway has said that there is no connection
)

// connects notes a CONNECT.
func (b *Book) connects(dev int32, now clock.Time, p *mqttsn.Connect) {
	d := &b.devices[dev]
	l := &d.link
	if !l.restarted {
		b.lostCommands(dev, now)
	}
	if p.CleanSession || !l.durable || l.mixed || now.Sub(d.spoken) > expiry {
		b.forget(d)
	}
	switch {
	case p.CleanSession:
		b.complete(dev, 0, true)
	case l.state == connecting && l.clean: // a late copy asks for the session that was to end
		l.haunted = true
	}
	b.excuse(d)
	b.reconnect(d)
	l.state, l.keepAlive, l.clean, l.withWill = connecting, inSeconds(p.KeepAlive), p.CleanSession, p.Will
	l.will, l.told, l.fired, l.suspected = false, false, false, false
	l.sleep, l.wish = 0, 0
	l.armed = l.armed && !p.CleanSession
	d.rest.forget()
	d.rest.ask(now, p.Type(), b.cfg.Slack)
	d.supplied.refuses = false
}

// connected notes a CONNACK. Until it passes, the old connection may stay where
// it was.
func (b *Book) connected(d *device, now clock.Time, p *mqttsn.Connack) {
	l := &d.link
	switch {
	case l.state != connecting:
	case p.Reason != mqttsn.Accepted:
		l.state = dropped
	default:
		l.state, l.since, l.durable = connected, now, !l.clean
		l.moved, l.restarted = false, false
		l.mixed, l.haunted = l.mixed && !l.clean, l.haunted && !l.clean
		if l.withWill {
			l.armed = l.told
		}
	}
}

// leave notes a DISCONNECT without duration.
func (d *device) leave() {
	d.link.state = leaving
	d.rest.forget()
	if !d.link.durable {
		d.supplied.subbed = false
	}
}

// dismissed notes a DISCONNECT of the gateway: an answer, if there was a
// question, or else the end of a connection.
func (d *device) dismissed(now clock.Time) {
	switch {
	case d.link.state == leaving && d.rest.dozes == 0:
		d.link.state, d.link.left = gone, now
	case d.link.state == leaving: // to which of its requests is this the answer?
		d.link.state = dropped
	case d.rest.dozes > 0:
		d.link.sleep = d.link.wish
	case d.link.state == connected:
		d.link.state = dropped
	}
}

// hear notes a sign of life, and whether it comes so late that the device may
// have been lost meanwhile.
func (d *device) hear(now clock.Time) {
	if n := d.least(); d.link.state == connected && n > 0 && now.Sub(d.proved) >= n {
		d.link.gap = now
	}
	d.heard = now
}

// answered notes that the gateway has answered as it does on a connection.
func (d *device) answered() {
	d.proved = d.heard
	d.link.fired = false      // it was lost, and is there again
	if d.link.state == gone { // it has not heard the goodbye, after all
		d.link.state = dropped
	}
}

// least is after which silence the gateway may take the device for lost, at
// the earliest: the specification's tolerance is a recommendation. Zero: never.
func (d *device) least() time.Duration {
	n := d.link.keepAlive
	if d.rest.sleeper {
		n = d.link.sleep
	}
	if d.rest.dozes > 0 && (n == 0 || d.link.wish < n) {
		n = d.link.wish
	}
	return time.Duration(n) * time.Second
}

// most is after which silence it has to have noticed, at the latest. Zero: never.
func (d *device) most() time.Duration {
	n := d.link.keepAlive
	if d.rest.sleeper {
		n = d.link.sleep
	}
	if n == 0 {
		return 0
	}
	if d.rest.dozes > 0 {
		n = max(n, d.link.wish)
	}
	return 2*time.Duration(n)*time.Second + time.Minute
}

// live reports whether the gateway must know the device to be connected.
func (d *device) live(now clock.Time) bool {
	n := d.least()
	return d.link.state == connected && !d.link.moved && !d.link.restarted && (n == 0 || now.Sub(d.proved) < n)
}
