package udp

import (
	"errors"
	"fmt"
	"net/netip"
)

var errClosed = errors.New("the network is closed")

// ErrPublic is that an address may be anyone's.
var ErrPublic = errors.New("neither loopback nor private")

// Allowed returns nil if a fleet may be let loose on a without further
// question: on loopback, and on private (RFC 1918, RFC 4193) and link-local
// addresses. A fleet looks like an attack to whoever did not ask for it.
func Allowed(a netip.Addr) error {
	a = a.Unmap()
	switch {
	case !a.IsValid():
		return errors.New("no address")
	case a.IsLoopback(), a.IsPrivate(), a.IsLinkLocalUnicast():
		return nil
	case a.IsUnspecified():
		return fmt.Errorf("%v is no address to send to", a)
	case a.IsMulticast():
		return fmt.Errorf("%v is a group: %w", a, ErrPublic)
	}
	return fmt.Errorf("%v is %w: others may be there", a, ErrPublic)
}
