// Package auth says who may connect: whose name and password a password file
// knows, and from where one needs no name.
package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"dormouse/core"
)

// Why a client may not connect.
var (
	// ErrBad: no such user, or not that password; nobody is told which.
	ErrBad = errors.New("bad user name or password")

	// ErrNotAllowed: it takes a user name to connect from there.
	ErrNotAllowed = errors.New("not allowed without a user name")

	// ErrBusy: too many passwords are being checked; later may do.
	ErrBusy = errors.New("too many passwords are being checked")
)

// From says from where clients may connect without a user name.
type From uint8

const (
	Nowhere From = iota
	Loopback
	Anywhere
)

// Options configure an Authenticator. The zero Options let nobody in.
type Options struct {
	// Anonymous is from where a client without a user name may connect.
	Anonymous From

	// Open are the listeners through which it may, too, wherever it comes from;
	// under Nowhere not even through these.
	Open []string

	// Files are password files. The first that has a user's name decides.
	// Without any, a user name is believed where one without may connect.
	Files []string
}

// An Authenticator knows who may connect. It is safe for concurrent use.
type Authenticator struct {
	o     Options
	key   [sha256.Size]byte // of proofs
	slots chan struct{}     // one for each hash being computed
	users atomic.Pointer[users]

	hashed, remembered, busy atomic.Uint64
}

// New returns an Authenticator that has read its files. The error is that of
// Reload.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{o: o, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	rand.Read(a.key[:])
	return a, a.Reload()
}

// Reload reads the files again and forgets what it remembers of passwords. On
// an error, which is Problems, everything stays as it was. Clients that are
// connected stay so.
func (a *Authenticator) Reload() error {
	us, err := readUsers(a.o.Files)
	if err == nil {
		a.users.Store(us)
	}
	return err
}

// Exposed are the files that every user of the machine may read.
func (a *Authenticator) Exposed() []string { return a.users.Load().exposed }

// Authenticate says whether a client may connect: nil, ErrBad, ErrNotAllowed
// or ErrBusy. It may take as long as a hash does, and patience before that.
func (a *Authenticator) Authenticate(who core.Identity, password []byte) error {
	if who.User != "" && len(a.o.Files) > 0 {
		return a.check(who.User, password)
	}
	if !a.letsIn(who) {
		return ErrNotAllowed
	}
	return nil
}

// letsIn reports whether who needs no name.
func (a *Authenticator) letsIn(who core.Identity) bool {
	switch a.o.Anonymous {
	case Nowhere:
		return false
	case Anywhere:
		return true
	}
	at, err := netip.ParseAddrPort(who.Remote)
	return err == nil && at.Addr().IsLoopback() || slices.Contains(a.o.Open, who.Listener)
}

// remembered is how long a password that was right needs no hash. Clients
// behind a bad link connect again and again.
const remembered = 5 * time.Minute

// check says whether name has that password. An unknown name costs a hash,
// too, so that the time taken tells nobody which names there are.
func (a *Authenticator) check(name string, password []byte) error {
	if len(password) == 0 {
		return ErrBad
	}
	us, now, mac := a.users.Load(), time.Now(), a.mac(password)
	u := us.byName[name]
	if u == nil {
		if us.nobody == nil { // nobody has a password: there is nothing to hide
			return ErrBad
		}
		u = us.nobody
	} else if p := u.proof.Load(); p != nil && now.Before(p.until) && hmac.Equal(p.mac, mac) {
		a.remembered.Add(1)
		return nil
	}
	if !a.enter() {
		a.busy.Add(1)
		return ErrBusy
	}
	defer a.leave()
	a.hashed.Add(1)
	if !u.hash.Matches(password) {
		return ErrBad
	}
	u.proof.Store(&proof{mac, now.Add(remembered)})
	return nil
}

// mac stands in memory for a password that was right.
func (a *Authenticator) mac(password []byte) []byte {
	h := hmac.New(sha256.New, a.key[:])
	h.Write(password)
	return h.Sum(nil)
}

// patience is how long a client waits for its turn.
const patience = 5 * time.Second

// enter waits for a slot. There is one for each core: more hashes at once would
// take no less time, but those of argon2id 46 MiB each.
func (a *Authenticator) enter() bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case a.slots <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}

func (a *Authenticator) leave() { <-a.slots }

// Each yields the figures under their exported names.
func (a *Authenticator) Each(yield func(name, help, label string, value uint64)) {
	const name, help = "dormouse_password_checks_total",
		"Passwords that clients have shown: checked by a hash, known from minutes ago, or not checked because too many came at once. Many hashes are someone who guesses."
	yield(name, help, `by="hash"`, a.hashed.Load())
	yield(name, help, `by="memory"`, a.remembered.Load())
	yield(name, help, `by="none"`, a.busy.Load())
}
