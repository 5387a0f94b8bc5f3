package client

import (
	"errors"

	"dormouse/mqttsn"
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
)

// A RefusedError is a gateway's answer that is not acceptance. After
// mqttsn.Congestion the same request should wait five minutes (T_WAIT, 1.2
// §7.2).
type RefusedError struct {
	Type   mqttsn.Type // of the packet that was refused
	Reason mqttsn.Reason
}

func (e *RefusedError) Error() string {
	return e.Type.String() + " refused: " + e.Reason.String()
}

// refusal returns the error that r stands for, nil if it is acceptance.
func refusal(t mqttsn.Type, r mqttsn.Reason) error {
	if r == mqttsn.Accepted {
		return nil
	}
	return &RefusedError{t, r}
}
