package udp

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// zones tells names and numbers of network interfaces apart: an address has the
// name of the one that it is on, and the kernel the number.
type zones struct {
	mu      sync.Mutex
	asked   time.Time
	names   map[uint32]string
	numbers map[string]uint32
}

// An interface may be known by an old name for as long as zoneFor, and one that
// has come not at all for as long as missFor.
const (
	zoneFor = time.Minute
	missFor = time.Second
)

// name is that of the interface of a number, or the number if it has none.
func (z *zones) name(number uint32) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ask(zoneFor)
	if name, known := z.names[number]; known {
		return name
	}
	z.ask(missFor)
	if name, known := z.names[number]; known {
		return name
	}
	return strconv.Itoa(int(number))
}

// number is that of the interface which a is on, or zero.
func (z *zones) number(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ask(zoneFor)
	if number, known := z.numbers[a.Zone()]; known {
		return number
	}
	z.ask(missFor)
	if number, known := z.numbers[a.Zone()]; known {
		return number
	}
	number, _ := strconv.ParseUint(a.Zone(), 10, 32)
	return uint32(number)
}

// ask has the kernel say what there is, if it has not for so long.
func (z *zones) ask(d time.Duration) {
	if !z.asked.IsZero() && time.Since(z.asked) < d {
		return
	}
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	z.asked = time.Now()
	z.names, z.numbers = make(map[uint32]string), make(map[string]uint32)
	for _, i := range all {
		z.names[uint32(i.Index)] = i.Name
		z.numbers[i.Name] = uint32(i.Index)
	}
}
