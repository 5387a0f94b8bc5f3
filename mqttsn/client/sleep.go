package client

import (
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Sleep asks the gateway to keep messages for up to d, whole seconds up to
// 65535, and then closes the radio, 1.2 §6.14: with or without an answer, the
// client is Asleep when the request has Ended. An Asleep client may ask again
// for another duration.
func (c *Client) Sleep(now clock.Time, d time.Duration, out *Actions) error {
	if !c.cfg.CanSleep() {
		return ErrUnsupported
	}
	if c.state != Active && c.state != Asleep {
		return ErrState
	}
	if c.x != nil {
		return ErrBusy
	}
	if d < time.Second { // which would say goodbye
		return &mqttsn.PacketError{Version: c.version, Type: mqttsn.TypeDisconnect, Field: "Duration", Err: mqttsn.ErrValue}
	}
	x := out.exchange(ToSleep)
	x.disconnect.Duration = d
	if err := c.begin(now, x, &x.disconnect, out); err != nil {
		return err
	}
	c.state = Dozing
	c.sleep = d
	c.deadline[ping] = 0
	return nil
}

// SleepDuration returns what the client last asked to sleep, zero when it is
// not Dozing, Asleep or Awake. It must Wake before that has passed.
func (c *Client) SleepDuration() time.Duration { return c.sleep }

// fallAsleep closes the radio. err is how the request ends that led here.
func (c *Client) fallAsleep(err error, out *Actions) {
	c.end(err, out)
	c.state = Asleep
	c.deadline = [numTimers]clock.Time{}
	c.pings = 0
}

// Wake asks a gateway for what it kept for a client that is Asleep. Messages
// come until the request has Ended; then the client is Asleep again, for
// another sleep duration.
func (c *Client) Wake(now clock.Time, out *Actions) error {
	if !c.cfg.CanWake() {
		return ErrUnsupported
	}
	if err := c.free(Asleep); err != nil {
		return err
	}
	x := out.exchange(ToWake)
	x.name = append(x.name, c.session.ClientID...)
	x.pingreq.ClientID = x.name
	if err := c.begin(now, x, &x.pingreq, out); err != nil {
		return err
	}
	c.state = Awake
	return nil
}

// onPingresp ends a flush, or answers a ping.
func (c *Client) onPingresp(now clock.Time, out *Actions) {
	if c.state == Awake {
		c.fallAsleep(nil, out)
		return
	}
	c.ponged(now)
}
