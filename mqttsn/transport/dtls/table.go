package dtls

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"

	"dormouse/mqttsn/index"
	"dormouse/mqttsn/limit"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls/record"
)

// An association is a peer's keys, place and number: a value without a pointer
// in it, of which there are many in one piece of memory.
type association struct {
	record.Association
	place
	number   uint32 // Peer.Conn
	seen     uint32 // when it was last heard, in seconds
	asked    uint16 // by how much the Keeper was asked to reserve more
	credit   uint16 // octets that may be sent to place, while unproven
	proof    transport.Proof
	unproven bool // that it is at place
	credited bool // there was a record from there
	pending  bool // pion is kept for it: it has not shown yet that it has the last flight
}

// A place is where a peer is.
type place struct {
	addr  [16]byte
	port  uint16
	zone  uint16 // in zones
	local uint32 // Peer.Local
}

func (l *Listener) placeOf(p transport.Peer) place {
	a := p.Addr.Addr()
	return place{a.As16(), p.Addr.Port(), l.zones.number(a.Zone()), p.Local}
}

// peer is the peer at p, of that number. An IPv4 peer is named as one.
func (l *Listener) peer(p place, number uint32) transport.Peer {
	a := netip.AddrFrom16(p.addr).Unmap()
	if p.zone != 0 {
		a = a.WithZone(l.zones.name(p.zone))
	}
	return transport.Peer{Addr: netip.AddrPortFrom(a, p.port), Conn: number, Local: p.local}
}

// Zones numbers the zones of link-local addresses, which are few.
type zones struct {
	mu    sync.Mutex
	names []string // by number less 1
}

func (z *zones) number(name string) uint16 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for i, n := range z.names {
		if n == name {
			return uint16(i + 1)
		}
	}
	if len(z.names) == 1<<16-1 {
		return 0
	}
	z.names = append(z.names, name)
	return uint16(len(z.names))
}

func (z *zones) name(n uint16) string {
	if n == 0 {
		return ""
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.names[n-1]
}

const (
	parts     = 16  // that associations are divided into, each with a lock
	chunkSize = 60  // associations in one piece of memory: a page
	hot       = 256 // of a part that have their ciphers made ready
)

// A part is some of the associations. It never shrinks.
type part struct {
	mu       sync.Mutex
	which    uint32
	chunks   []*[chunkSize]association
	names    []*[chunkSize]string // their identities
	free     []int32
	made     int32 // slots that were ever used
	byKey    index.Index
	byNumber index.Index
	last     uint32 // number given, without which
	hot      []ready
	scratch  []byte

	// unkept has, of those who were heard and it is not yet kept that they were,
	// the last turn that does it, and held what is to be sent after that.
	unkept map[uint32]uint64
	held   map[uint64][]transport.Datagram
}

// A ready has the ciphers of an association that was active lately.
type ready struct {
	number  uint32
	ciphers *record.Ciphers
}

func (p *part) at(slot int32) *association { return &p.chunks[slot/chunkSize][slot%chunkSize] }
func (p *part) name(slot int32) *string    { return &p.names[slot/chunkSize][slot%chunkSize] }

// A key is by what a record finds its association: a connection id, or the
// address.
type key struct {
	part uint32
	hash uint32
}

func keyOfID(id record.ID) key {
	return key{uint32(id[0]) % parts, binary.BigEndian.Uint32(id[4:])}
}

func (l *Listener) keyOfPlace(p place) key {
	h := limit.Mix(limit.HashAddr(l.cfg.Seed, netip.AddrFrom16(p.addr)) ^ uint64(p.port)<<32 ^ uint64(p.zone))
	return key{uint32(h>>32) % parts, uint32(h)}
}

func (l *Listener) keyOf(a *association) key {
	if a.HasCID {
		return keyOfID(a.ID)
	}
	return l.keyOfPlace(a.place)
}

func hashNumber(n uint32) uint32 { return uint32(limit.Mix(uint64(n))) }

const none = -1 // no slot

// withID finds the association that sends that connection id.
func (p *part) withID(id record.ID) int32 {
	for slot := range p.byKey.At(keyOfID(id).hash) {
		if a := p.at(slot); a.HasCID && a.ID == id {
			return slot
		}
	}
	return none
}

// atPlace finds the association that is known by its address.
func (p *part) atPlace(hash uint32, where place) int32 {
	for slot := range p.byKey.At(hash) {
		if a := p.at(slot); !a.HasCID && a.addr == where.addr && a.port == where.port && a.zone == where.zone {
			return slot
		}
	}
	return none
}

func (p *part) withNumber(n uint32) int32 {
	for slot := range p.byNumber.At(hashNumber(n)) {
		if p.at(slot).number == n {
			return slot
		}
	}
	return none
}

// with calls do with the association of that number, locked, if there is one.
func (l *Listener) with(number uint32, do func(p *part, slot int32)) {
	p := &l.parts[number%parts]
	p.mu.Lock()
	defer p.mu.Unlock()
	if slot := p.withNumber(number); slot != none {
		do(p, slot)
	}
}

var errFull = errors.New("dtls: there are as many associations as may be")

// enter puts an association into the table.
func (l *Listener) enter(a association, name string, w warrant) (number uint32, err error) {
	for l.count.associations.Add(1) > int64(l.cfg.MaxAssociations) {
		l.count.associations.Add(-1)
		if !l.crowdOut() {
			return 0, errFull
		}
	}
	k := l.keyOf(&a)
	p := &l.parts[k.part]
	p.mu.Lock()
	defer p.mu.Unlock()
	number = p.add(a, k.hash, name)
	if a.proof == transport.ByCertificate {
		l.warrants.set(number, w)
	}
	return number, nil
}

// vacate ends the association that is known by the address of a, if a is known
// by it, too.
func (l *Listener) vacate(a *association) (gone []record.ID) {
	if a.HasCID {
		return nil
	}
	k := l.keyOf(a)
	p := &l.parts[k.part]
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.atPlace(k.hash, a.place); old != none {
		gone = append(gone, p.at(old).ID)
		l.leave(p, old, Replaced)
	}
	return gone
}

// add gives a a slot, and a number that none has had for as long as possible:
// whoever still means the one that had it must not meet another.
func (p *part) add(a association, hash uint32, name string) (number uint32) {
	for a.number == 0 || p.withNumber(a.number) != none {
		p.last++
		a.number = p.last*parts + p.which
	}
	var slot int32
	if n := len(p.free); n > 0 {
		slot, p.free = p.free[n-1], p.free[:n-1]
	} else {
		slot = p.made
		p.made++
		if int(slot) == len(p.chunks)*chunkSize {
			p.chunks = append(p.chunks, new([chunkSize]association))
			p.names = append(p.names, new([chunkSize]string))
		}
	}
	*p.at(slot), *p.name(slot) = a, name
	p.byKey.Add(hash, slot)
	p.byNumber.Add(hashNumber(a.number), slot)
	return a.number
}

// leave ends the association in a slot of p, which is locked.
func (l *Listener) leave(p *part, slot int32, why Ending) {
	a := p.at(slot)
	if a.proof == transport.ByCertificate {
		l.warrants.drop(a.number)
	}
	p.byKey.Drop(l.keyOf(a).hash, slot)
	p.byNumber.Drop(hashNumber(a.number), slot)
	if r := p.hotAt(slot); r.number == a.number {
		*r = ready{}
	}
	*a, *p.name(slot) = association{}, "" // keys are not left lying about
	p.free = append(p.free, slot)
	l.count.associations.Add(-1)
	l.count.ended[why].Add(1)
}

func (p *part) hotAt(slot int32) *ready {
	if p.hot == nil {
		p.hot = make([]ready, hot)
	}
	return &p.hot[slot%hot]
}

// ciphers are those of the association in a slot.
func (p *part) ciphers(slot int32) *record.Ciphers {
	a, r := p.at(slot), p.hotAt(slot)
	if r.number != a.number {
		*r = ready{a.number, a.Ciphers()}
	}
	return r.ciphers
}
