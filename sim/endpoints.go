package sim

// An Endpoint is one of a fleet's addresses. Whose it is changes when a NAT
// forgets a binding; drivers map endpoints to addresses once and for all.
type Endpoint int32

const nobody = -1

// Endpoints is who has which address.
type endpoints struct {
	owner   []int32  // whose datagrams leave by it, and who gets what comes; or nobody
	speaker []int32  // whose datagram came out of it last: who the gateway thinks has it; or nobody
	era     []uint32 // of the speaker, when it spoke
}

func newEndpoints(n int) endpoints {
	e := endpoints{owner: make([]int32, n), speaker: make([]int32, n), era: make([]uint32, n)}
	for i := range n {
		e.owner[i], e.speaker[i] = nobody, nobody
	}
	return e
}

// A pool is the addresses of one group. The one that has been nobody's for
// longest is given out next, as careful NATs do it, so that the gateway has
// long had word from its last owner elsewhere.
type pool struct {
	base  Endpoint
	size  int
	spare []Endpoint // a ring, the oldest at first
	first int
}

// newPool gives the first addresses of its range to devices, which begin with
// base in number, and spares as many again if they may be rebound.
func (e *endpoints) newPool(base Endpoint, first int32, devices int, rebinds bool) pool {
	p := pool{base: base, size: devices}
	for i := range devices {
		e.owner[int(base)+i] = first + int32(i)
	}
	if rebinds {
		p.size = 2 * devices
		p.spare = make([]Endpoint, devices)
		for i := range p.spare {
			p.spare[i] = base + Endpoint(devices+i)
		}
	}
	return p
}

// rebind gives the device that has old another address.
func (e *endpoints) rebind(p *pool, device int32, old Endpoint) Endpoint {
	if len(p.spare) == 0 {
		return old
	}
	fresh := p.spare[p.first]
	p.spare[p.first] = old
	p.first = (p.first + 1) % len(p.spare)
	e.owner[old], e.owner[fresh] = nobody, device
	return fresh
}
