package auth

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Lockout says who is not listened to any more: those who have been wrong too
// often. They are answered as a wrong password is.
type Lockout struct {
	// Failures in a Window have one name from one network locked out for Block.
	// One sensor that has a wrong password thus locks itself out alone. Ten times
	// as many, in all names from one network or in one name from all of them, lock
	// out the network, or the name. Zero: nobody is locked out.
	Failures      int
	Window, Block time.Duration

	// Exempt are networks whose clients are always listened to, and whose mistakes
	// lock nobody out. Loopback is not, for those whom a proxy has brought.
	Exempt []netip.Prefix
}

// What counts as one network: who has one IPv6 address has 2^64 and more.
const (
	networkV4 = 24
	networkV6 = 56
)

// many is by how much more it takes for what others share.
const many = 10

// Locked is what somebody is locked out by, for the log.
type Locked struct {
	User    string       // empty: whatever the name
	Client  string       // the client id of those without a name
	Network netip.Prefix // the zero Prefix: wherever from
}

// String says who that is.
func (l Locked) String() string {
	who, from := "everyone", "everywhere"
	if name := l.User + l.Client; name != "" {
		who = strconv.Quote(name)
	}
	if l.Network.IsValid() {
		from = l.Network.String()
	}
	return who + " from " + from
}

// ledgerHalf is how many are remembered in each half of a ledger: 4 MiB in all.
const ledgerHalf = 1 << 15

// A ledger remembers who was wrong how often. It forgets the oldest when it is
// full.
type ledger struct {
	seed maphash.Seed

	mu         sync.Mutex // guards what follows
	fresh, old map[uint64]tally
}

// A tally is of wrong passwords since a moment, or of none until another.
type tally struct {
	failures int
	since    time.Time
	locked   time.Time // until when
}

func newLedger() *ledger {
	return &ledger{seed: maphash.MakeSeed(), fresh: make(map[uint64]tally)}
}

// A charge is what one client's mistakes are counted by: its name and network,
// its network, its name.
type charge [3]Locked

// charge returns how who is counted, and whether it is.
func (l *Lockout) charge(who Credentials) (charge, bool) {
	at, err := netip.ParseAddrPort(who.Remote)
	if err != nil || l.Failures == 0 {
		return charge{}, false
	}
	addr := at.Addr().Unmap().WithZone("")
	elsewhere := who.Brought && addr.IsLoopback()
	if !elsewhere && slices.ContainsFunc(l.Exempt, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return charge{}, false
	}
	bits := networkV6
	if addr.Is4() {
		bits = networkV4
	}
	network, _ := addr.Prefix(bits)
	name := Locked{User: who.User}
	if name.User == "" {
		name.Client = who.ClientID
	}
	both := name
	both.Network = network
	return charge{both, {Network: network}, name}, true
}

// limit is how many failures are too many for the i-th of a charge.
func (l *Lockout) limit(i int) int {
	if i == 0 {
		return l.Failures
	}
	return many * l.Failures
}

func (d *ledger) key(k Locked) uint64 { return maphash.Comparable(d.seed, k) }

// get returns the tally of a key, with mu locked.
func (d *ledger) get(key uint64) tally {
	if t, ok := d.fresh[key]; ok {
		return t
	}
	return d.old[key]
}

// put keeps it, with mu locked.
func (d *ledger) put(key uint64, t tally) {
	if len(d.fresh) >= ledgerHalf {
		d.fresh, d.old = make(map[uint64]tally), d.fresh
	}
	d.fresh[key] = t
}

// isLocked reports whether any of c is locked out.
func (d *ledger) isLocked(c charge, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range c {
		if now.Before(d.get(d.key(k)).locked) {
			return true
		}
	}
	return false
}

// failed counts a mistake, and returns what is locked out from now on.
func (d *ledger) failed(c charge, l *Lockout, now time.Time) (locked []Locked) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, k := range c {
		key := d.key(k)
		t := d.get(key)
		if now.Sub(t.since) >= l.Window {
			t.failures, t.since = 0, now
		}
		if t.failures++; t.failures >= l.limit(i) {
			t = tally{locked: now.Add(l.Block)}
			locked = append(locked, k)
		}
		d.put(key, t)
	}
	return locked
}

// succeeded forgets what one name did wrong from one network.
func (d *ledger) succeeded(c charge) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.key(c[0])
	delete(d.fresh, key)
	delete(d.old, key)
}
