package energy

import (
	"errors"
	"fmt"
	"time"
)

// A Profile is a radio: what it draws, and how octets become time on air.
type Profile struct {
	Name string

	Tx    float64 // mA, transmitting
	Rx    float64 // mA, receiving a packet
	Wait  float64 // mA, listening for one
	Sleep float64 // µA, the radio and the processor that shares its chip

	// Upkeep is the mean of what keeping the link costs on top of Sleep, in
	// µA: a BLE connection event takes some 8 µC, so one each second is 8 µA.
	Upkeep float64

	Access, Tail Phase // before the first octet after a wake, and after the last

	// DutyCycle is the share of an hour that a device may transmit; 0 means no
	// limit.
	DutyCycle float64

	Link    Link
	Sources []Source
}

// A Link turns the octets of UDP payloads into what the radio does. There is
// one for each kind of radio; all are plain structs.
type Link interface {
	// Up is what sending a datagram takes. One that is lost may take more:
	// the link repeats by itself before it gives up. The error is an
	// *Infeasible whose Profile is empty.
	Up(octets int, lost bool) (Use, error)
	// Down is what receiving a datagram takes.
	Down(octets int) (Use, error)
	// Listen is how long the receiver is on while the client waits for d.
	Listen(d time.Duration) time.Duration

	validate() error
}

// A Use is what the radio does for one act: the time in each state, and a
// charge that depends on none.
type Use struct {
	Tx, Rx, Wait time.Duration
	Fixed        float64 // µC
}

// Charge is in µC.
func (u Use) Charge(p *Profile) float64 {
	return p.Tx*ms(u.Tx) + p.Rx*ms(u.Rx) + p.Wait*ms(u.Wait) + u.Fixed
}

func (u Use) time() time.Duration { return u.Tx + u.Rx + u.Wait }

// Why something is infeasible, for errors.Is.
var (
	ErrPayload   = errors.New("payload too long for the radio")
	ErrDutyCycle = errors.New("duty cycle exhausted")
)

// An Infeasible reports what the radio cannot do, whoever asks.
type Infeasible struct {
	Profile string
	Err     error // ErrPayload or ErrDutyCycle

	Octets, Limit    int           // with ErrPayload
	Airtime, Allowed time.Duration // with ErrDutyCycle: of this hour, with the packet, and the most there is
}

func (e *Infeasible) Error() string {
	if errors.Is(e.Err, ErrDutyCycle) {
		return fmt.Sprintf("%s: infeasible: %v on air in one hour, %v allowed: send less often, less, or faster",
			e.Profile, e.Airtime.Round(time.Millisecond), e.Allowed)
	}
	return fmt.Sprintf("%s: infeasible: datagram of %d octets, the radio carries %d: send less at once, or choose a faster setting",
		e.Profile, e.Octets, e.Limit)
}

func (e *Infeasible) Unwrap() error { return e.Err }

func tooLong(octets, limit int) error {
	return &Infeasible{Err: ErrPayload, Octets: octets, Limit: limit}
}
