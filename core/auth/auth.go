// Package auth says who may connect: whom a certificate names, whose name and
// password a password file or a web server knows, and from where one needs no name.
package auth

import (
	"context"
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

	// ErrBusy: too many passwords are being checked, or whoever knows does not
	// answer; later may do.
	ErrBusy = errors.New("too busy to find out who that is")
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
	// Anonymous is from where a client without a user name may connect. Whom a
	// proxy has brought is never on Loopback.
	Anonymous From

	// Open are the listeners through which it may, too, wherever it comes from;
	// under Nowhere not even through these.
	Open []string

	// Files are password files. The first that has a user's name decides.
	// Without any, and without Names, Tokens and Hooks, a user name is believed where one without
	// may connect.
	Files []string

	// Names are the listeners where the certificate of a client says who it is,
	// before anybody else is asked. NoName is for those that find it out themselves.
	Names map[string]NameIn

	// Tokens are issuers of tokens, which are asked about before all passwords.
	Tokens []Tokens

	// Hooks are asked in this order, each After some of the Files.
	Hooks []Hook

	// Lockout is when who was wrong too often is not listened to any more. It is
	// not about certificates and tokens, which nobody can guess, nor about those
	// without a name and a password.
	Lockout Lockout
}

// An Authenticator knows who may connect. It is safe for concurrent use.
type Authenticator struct {
	key   [sha256.Size]byte // of proofs
	slots chan struct{}     // one for each hash being computed
	now   atomic.Pointer[arrangement]
	wrong *ledger
	life  context.Context // of questions to hooks
	close context.CancelFunc

	// Tell is told of each who is locked out from now on. It is set before anybody
	// is let in. Nil: nobody is told.
	Tell func(Locked)

	// Complain is told why a provider cannot know somebody, now and then. Likewise.
	Complain func(error)

	hashed, remembered, busy, lockedOut atomic.Uint64
	hooks                               struct{ allow, deny, ignore, none, memory atomic.Uint64 }
}

// An arrangement is what is asked, and in which order.
type arrangement struct {
	Options
	proven    []Provider         // by what nobody can guess
	providers []Provider         // all others
	keySets   map[string]*keySet // of tokens, by URL
	users     *users             // of the password files
}

// New returns an Authenticator that has read its files. The error is that of
// Reload.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), wrong: newLedger()}
	a.life, a.close = context.WithCancel(context.Background())
	rand.Read(a.key[:])
	return a, a.Reload(o)
}

// Close has nobody wait for a hook any more, as if it had failed.
func (a *Authenticator) Close() { a.close() }

// Reload goes by o from now on: it reads the files again and forgets what it
// remembers of passwords. On an error, which is Problems, everything stays as it
// was.
func (a *Authenticator) Reload(o Options) error {
	us, err := readUsers(o.Files)
	if err != nil {
		return err
	}
	now := &arrangement{Options: o, users: us, keySets: make(map[string]*keySet)}
	if len(o.Names) > 0 {
		now.proven = append(now.proven, certificates{o.Names})
	}
	for i := range o.Tokens {
		keys, err := a.keysOf(&o.Tokens[i])
		if err != nil {
			return err
		}
		now.keySets[keys.url] = keys
		now.proven = append(now.proven, newTokens(&o.Tokens[i], keys))
	}
	asked := 0
	for i := range o.Hooks {
		h, err := newHook(a, &o.Hooks[i])
		if err != nil {
			return err
		}
		if h.After > asked {
			now.providers = append(now.providers, passwords{a, us, asked, h.After})
			asked = h.After
		}
		now.providers = append(now.providers, h)
	}
	if len(o.Files) > asked {
		now.providers = append(now.providers, passwords{a, us, asked, len(o.Files)})
	}
	before := a.now.Swap(now)
	if before != nil {
		before.hangUp()
	}
	return nil
}

// hangUp closes what hooks of before a reload keep open for the next question.
func (now *arrangement) hangUp() {
	for _, p := range now.providers {
		if h, ok := p.(*hook); ok {
			h.client.CloseIdleConnections()
		}
	}
}

// keysOf returns the keys of an issuer. Those by URL outlast a reload, when the
// issuer may be out of reach.
func (a *Authenticator) keysOf(t *Tokens) (*keySet, error) {
	if t.URL != "" {
		if now := a.now.Load(); now != nil && now.keySets[t.URL] != nil {
			return now.keySets[t.URL], nil
		}
		return &keySet{url: t.URL, tell: a.complain}, nil
	}
	keys, err := readKeySet(t.File)
	if err != nil {
		return nil, err
	}
	s := new(keySet)
	s.keys.Store(&keys)
	return s, nil
}

func (a *Authenticator) complain(err error) {
	if a.Complain != nil {
		a.Complain(err)
	}
}

// Exposed are the files that every user of the machine may read.
func (a *Authenticator) Exposed() []string { return a.now.Load().users.exposed }

// Authenticate says as whom a client may connect. The error is ErrBad,
// ErrNotAllowed, ErrCertificate, ErrToken or ErrBusy. It may take as long as a hash
// does, and patience before that, or as an issuer of tokens takes to say its keys,
// or a hook to answer; nobody else waits for that.
//
// The first provider that knows the client decides. Whom none knows may come in
// without a name where that is allowed, and not by a name, unless there is nobody
// to check it.
func (a *Authenticator) Authenticate(c Credentials) (Grant, error) {
	now := a.now.Load()
	for _, p := range now.proven {
		if who, err := p.Check(c); !errors.Is(err, ErrUnknown) {
			return who, err
		}
	}
	charge, counted := now.Lockout.charge(c)
	if !counted || c.User == "" && len(c.Password) == 0 {
		return a.ask(now, c)
	}
	if a.wrong.isLocked(charge, time.Now()) {
		a.lockedOut.Add(1)
		return Grant{}, ErrBad
	}
	who, err := a.ask(now, c)
	switch at := time.Now(); {
	case errors.Is(err, ErrBad):
		for _, l := range a.wrong.failed(charge, &now.Lockout, at) {
			if a.Tell != nil {
				a.Tell(l)
			}
		}
	case a.wrong.isLocked(charge, at): // by others that were tried at once, so that there are no more guesses in that
		a.lockedOut.Add(1)
		return Grant{}, ErrBad
	case err == nil:
		a.wrong.succeeded(charge)
	}
	return who, err
}

// ask has the providers say who c is.
func (a *Authenticator) ask(now *arrangement, c Credentials) (Grant, error) {
	absent := false // somebody who might know c
	for _, p := range now.providers {
		who, err := p.Check(c)
		if !errors.Is(err, ErrUnknown) {
			return who, err
		}
		absent = absent || errors.Is(err, errAbsent)
	}
	switch {
	case (c.User != "" || len(c.Password) > 0) && now.knows():
		err := a.stall(now.users, c.Password)
		if absent { // then it was not wrong
			err = ErrBusy
		}
		return Grant{}, err
	case !now.letsIn(c.Identity, c.Brought):
		return Grant{}, ErrNotAllowed
	}
	return Grant{c.Identity, Proof{brought: c.Brought}}, nil
}

// Stands reports whether who is connected by g might be so by the options of now.
func (a *Authenticator) Stands(g Grant) bool {
	now := a.now.Load()
	if g.by == "" {
		return now.letsIn(g.Identity, g.brought) && (g.User == "" || !now.knows())
	}
	stands := func(p Provider) bool { return p.Stands(&g) }
	return slices.ContainsFunc(now.proven, stands) || slices.ContainsFunc(now.providers, stands)
}

// knows reports whether anybody checks names.
func (now *arrangement) knows() bool { return len(now.providers)+len(now.proven) > 0 }

// letsIn reports whether who, brought by a proxy or not, needs no name.
func (o *Options) letsIn(who core.Identity, brought bool) bool {
	switch o.Anonymous {
	case Nowhere:
		return false
	case Anywhere:
		return true
	}
	at, err := netip.ParseAddrPort(who.Remote)
	return err == nil && at.Addr().IsLoopback() && !brought || slices.Contains(o.Open, who.Listener)
}

// Each yields the figures under their exported names.
func (a *Authenticator) Each(yield func(name, help, label string, value uint64)) {
	const name, help = "dormouse_password_checks_total",
		"Passwords that clients have shown: checked by a hash, known from minutes ago, or not checked because too many came at once. Many hashes are someone who guesses."
	yield(name, help, `by="hash"`, a.hashed.Load())
	yield(name, help, `by="memory"`, a.remembered.Load())
	yield(name, help, `by="none"`, a.busy.Load())
	const hooks, says = "dormouse_hook_answers_total",
		"What web servers of auth.providers have said of clients. memory: not asked, since it let that client in a moment ago. none: no answer, or no sound one, see the log."
	yield(hooks, says, `answer="allow"`, a.hooks.allow.Load())
	yield(hooks, says, `answer="deny"`, a.hooks.deny.Load())
	yield(hooks, says, `answer="ignore"`, a.hooks.ignore.Load())
	yield(hooks, says, `answer="memory"`, a.hooks.memory.Load())
	yield(hooks, says, `answer="none"`, a.hooks.none.Load())
	yield("dormouse_locked_out_total", "Clients that were turned away unheard, since their name or their network had been wrong too often.", "", a.lockedOut.Load())
}
