package client

import (
	"errors"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// Why a request cannot be made, or how it ended. Test for them with errors.Is.
// After ErrNoAnswer, ErrDisconnected and ErrAbandoned the gateway may have
// carried out the request or not.
var (
	ErrBusy         = errors.New("another request is under way")
	ErrState        = errors.New("not possible in this state")
	ErrNoAnswer     = errors.New("the gateway does not answer")
	ErrDisconnected = errors.New("the gateway has ended the connection")
	ErrAbandoned    = errors.New("given up for another request")
	ErrCongested    = errors.New("the gateway was congested, and wants to be left alone for a while")
	ErrUnsupported  = errors.New("this firmware cannot do that")
)

// A RefusedError is a gateway's answer that is not acceptance. After
// mqttsn.Congestion the same request fails with ErrCongested for as long as
// Config.Wait says.
type RefusedError struct {
	Type   mqttsn.Type // of the packet that was refused
	Reason mqttsn.Reason
}

func (e *RefusedError) Error() string {
	return e.Type.String() + " refused: " + e.Reason.String()
}

// refusal returns the error that r stands for, nil if it is acceptance. After
// congestion the same procedure has to wait, 1.2 §6.5, §6.6 and §6.9.
func (c *Client) refusal(now clock.Time, t mqttsn.Type, r mqttsn.Reason) error {
	if r == mqttsn.Accepted {
		return nil
	}
	if r == mqttsn.Congestion {
		c.patience, c.spared = now.Add(c.cfg.Wait), c.spared|1<<t
	}
	return &RefusedError{t, r}
}

// spares reports whether packets of type t have to wait.
func (c *Client) spares(now clock.Time, t mqttsn.Type) bool {
	if c.patience.Reached(now) {
		c.patience, c.spared = 0, 0
	}
	return c.spared&(1<<t) != 0
}
