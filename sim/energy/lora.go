package energy

import (
	"fmt"
	"time"
)

// LoRa is raw LoRa with explicit header and CRC, and receive windows as a
// LoRaWAN device of class A has them.
type LoRa struct {
	SF         int           // spreading factor, 7 to 12
	Bandwidth  int           // Hz
	Coding     int           // 1 to 4 for 4/5 to 4/8
	Preamble   int           // symbols, without the 4.25 of the synchronisation
	Header     int           // octets below UDP; LoRaWAN adds 13
	MaxPayload int           // octets of UDP payload
	Window     time.Duration // the shortest receive window; none is shorter than a preamble
	Second     time.Duration // when the second window opens after the end of transmission
}

func (l *LoRa) symbol() time.Duration {
	return time.Second << l.SF / time.Duration(l.Bandwidth)
}

func (l *LoRa) preamble() time.Duration {
	return l.symbol() * time.Duration(4*l.Preamble+17) / 4
}

// Airtime is the time on air of octets of PHY payload: Semtech AN1200.13,
// SX1272 data sheet §4.1.1.7.
func (l *LoRa) Airtime(octets int) time.Duration {
	slow := 0 // low data rate optimisation, for symbols above 16 ms
	if l.symbol() > 16*time.Millisecond {
		slow = 1
	}
	bits, per := 8*octets-4*l.SF+28+16, 4*(l.SF-2*slow)
	blocks := max(0, (bits+per-1)/per)
	return l.preamble() + time.Duration(8+blocks*(l.Coding+4))*l.symbol()
}

func (l *LoRa) time(octets int) (time.Duration, error) {
	if octets > l.MaxPayload {
		return 0, tooLong(octets, l.MaxPayload)
	}
	return l.Airtime(octets + l.Header), nil
}

// Up transmits the datagram in one packet: the link neither fragments nor
// repeats.
func (l *LoRa) Up(octets int, _ bool) (Use, error) {
	t, err := l.time(octets)
	return Use{Tx: t}, err
}

// Down receives the datagram, beyond the window in which it began.
func (l *LoRa) Down(octets int) (Use, error) {
	t, err := l.time(octets)
	return Use{Rx: t}, err
}

// Listen is one window, or two if there was time for the second.
func (l *LoRa) Listen(d time.Duration) time.Duration {
	window := max(l.Window, l.preamble())
	if d > l.Second {
		return 2 * window
	}
	return min(d, window)
}

func (l *LoRa) validate() error {
	if l.SF < 7 || l.SF > 12 || l.Bandwidth < 7800 || l.Bandwidth > 500_000 || l.Coding < 1 || l.Coding > 4 ||
		l.Preamble < 1 || l.Header < 0 || l.MaxPayload < 1 || l.MaxPayload+l.Header > 255 || l.Window < 0 || l.Second < 0 {
		return fmt.Errorf("lora needs SF 7 to 12, 7800 to 500000 Hz, coding 1 to 4, a preamble, and at most 255 octets with the header; it is %+v", *l)
	}
	return nil
}
