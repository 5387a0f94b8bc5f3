package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dormouse/core"
)

// A lock is an Authenticator that locks out, in a bubble of virtual time, and
// knows ann and bob.
type lock struct {
	*Authenticator
	t    *testing.T
	told []string
}

func newLock(t *testing.T) *lock {
	l := &lock{t: t}
	l.Authenticator = authenticator(t, Options{
		Anonymous: Anywhere,
		Files:     []string{write(t, entry("ann", "a", pbkdf), entry("bob", "b", pbkdf))},
		Lockout:   Lockout{3, time.Minute, 5 * time.Minute, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
	l.Tell = func(who Locked) { l.told = append(l.told, who.String()) }
	return l
}

func (l *lock) login(user, password, from string, want error) {
	l.t.Helper()
	who := core.Identity{ClientID: "c", User: user, Remote: from + ":5"}
	if err := l.Authenticator.login(who, []byte(password)); !errors.Is(err, want) {
		l.t.Errorf("%s with %q from %s: %v, want %v", user, password, from, err, want)
	}
}

const (
	here   = "192.0.2.1"
	beside = "192.0.2.99" // of the same network
	there  = "198.51.100.1"
)

// TestLockedOut: a name that was wrong too often is not listened to from that
// network, for a while, and costs no hash. Others there, and it elsewhere, are.
func TestLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		l.login("ann", "wrong", here, ErrBad)
		l.login("ann", "wrong", here, ErrBad)
		l.login("ann", "a", here, nil) // which makes up for them
		l.login("ann", "wrong", here, ErrBad)
		l.login("ann", "wrong", beside, ErrBad)
		l.login("ann", "a", there, nil)
		l.login("ann", "wrong", here, ErrBad)
		l.hashed.Store(0)
		l.login("ann", "a", beside, ErrBad)
		l.login("ann", "wrong", here, ErrBad)
		l.wantHashed(t, 0, "who is locked out")
		l.login("ann", "a", there, nil)
		l.login("bob", "b", here, nil)
		l.login("", "", here, nil) // who shows no password guesses none
		if want := []string{`"ann" from 192.0.2.0/24`}; !slices.Equal(l.told, want) || l.lockedOut.Load() != 2 {
			t.Errorf("told of %q, and of %d clients; want %q and 2", l.told, l.lockedOut.Load(), want)
		}
		if err := l.Reload(l.now.Load().Options); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Minute - time.Nanosecond)
		l.login("ann", "a", here, ErrBad)
		time.Sleep(time.Nanosecond)
		l.login("ann", "a", here, nil)
	})
}

// TestSlowGuesses: mistakes that are far apart lock nobody out.
func TestSlowGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		for range 9 {
			l.login("ann", "wrong", here, ErrBad)
			time.Sleep(30 * time.Second)
		}
		l.login("ann", "a", here, nil)
	})
}

// TestHostile63LockedOut: names that there are and names that there are not are
// locked out alike.
func TestHostile63LockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		for range 3 {
			l.login("ann", "wrong", here, ErrBad)
			l.login("nobody", "wrong", here, ErrBad)
		}
		if len(l.told) != 2 {
			t.Errorf("locked out are %q, want both", l.told)
		}
	})
}

// TestNetworkAndNameLockedOut: it takes ten times as many to lock out others,
// too: who is in the network from where many names are tried, and whose name is
// tried from many networks.
func TestNetworkAndNameLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		for i := range 30 {
			l.login("bob", "b", here, nil) // the canary
			l.login(fmt.Sprint("name", i), "x", beside, ErrBad)
		}
		l.login("bob", "b", here, ErrBad)
		for i := range 30 {
			l.login("bob", "b", there, nil)
			l.login("ann", "x", fmt.Sprintf("203.0.%d.1", i), ErrBad)
		}
		l.login("ann", "a", there, ErrBad)
		l.login("bob", "b", there, nil)
		want := []string{"everyone from 192.0.2.0/24", `"ann" from everywhere`}
		if !slices.Equal(l.told, want) {
			t.Errorf("locked out are %q, want %q", l.told, want)
		}
		l.login("ann", "a", "127.0.0.1", nil)
	})
}

// TestExemptFromLockout: who is on this machine locks out nobody, least its
// operator; and a Lockout of zero nobody at all.
func TestExemptFromLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		for range 100 {
			l.login("ann", "wrong", "127.0.0.1", ErrBad)
			l.login("ann", "wrong", "[::ffff:127.0.0.1]", ErrBad)
		}
		l.login("ann", "a", "127.0.0.1", nil)
		l.login("ann", "a", here, nil)
		o := l.now.Load().Options
		o.Lockout.Failures = 0
		if err := l.Reload(o); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			l.login("ann", "wrong", here, ErrBad)
		}
		l.login("ann", "a", here, nil)
	})
}

// TestGuessesAtOnce: of many guesses that come before the first is answered no
// more than the allowed number can be right.
func TestGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLock(t)
		for range cap(l.slots) {
			l.slots <- struct{}{}
		}
		who := core.Identity{User: "ann", Remote: here + ":5"}
		right := make(chan error, 1)
		go func() { right <- l.Authenticator.login(who, []byte("a")) }()
		synctest.Wait()
		o := &l.now.Load().Lockout
		c, _ := o.charge(Credentials{Identity: who})
		for range o.Failures { // by others that were answered first
			l.wrong.failed(c, o, time.Now())
		}
		for range cap(l.slots) {
			l.leave()
		}
		if err := <-right; !errors.Is(err, ErrBad) {
			t.Errorf("a guess that was right too late is told %v", err)
		}
	})
}

// TestLedgerIsBounded: however many names are tried, memory stays what it is.
func TestLedgerIsBounded(t *testing.T) {
	d, l := newLedger(), &Lockout{Failures: 10, Window: time.Minute, Block: time.Minute}
	now := time.Now()
	for i := range 3 * ledgerHalf {
		c, _ := l.charge(caller(fmt.Sprint(i), ""))
		d.failed(c, l, now)
	}
	if n := len(d.fresh) + len(d.old); n > 2*ledgerHalf {
		t.Errorf("%d are remembered", n)
	}
	if c, _ := l.charge(caller("other", "")); !d.isLocked(c, now) {
		t.Error("the network has been forgotten")
	}
}

// TestBrought: whom a proxy says to be on loopback needs a name as others do, and is
// locked out as they are. So is not who is there by himself.
func TestBrought(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8")}
	o := Options{Anonymous: Loopback, Open: []string{"insecure"}, Files: []string{write(t, entry("ann", "a", pbkdf))}, Lockout: Lockout{1, time.Minute, time.Minute, local}}
	for _, tt := range []struct {
		remote           string
		brought          bool
		nameless, locked error
	}{
		{"127.0.0.1:5", false, nil, nil},
		{"[::1]:5", false, nil, nil},
		{"127.0.0.1:5", true, ErrNotAllowed, ErrBad},
		{"[::1]:5", true, ErrNotAllowed, ErrBad},
		{"[::ffff:127.0.0.1]:5", true, ErrNotAllowed, ErrBad},
		{"10.0.0.1:5", true, ErrNotAllowed, nil},
		{"192.0.2.1:5", true, ErrNotAllowed, ErrBad},
	} {
		a := authenticator(t, o)
		login := func(user, password, listener string) (Grant, error) {
			who := core.Identity{ClientID: "c", User: user, Listener: listener, Remote: tt.remote}
			return a.Authenticate(Credentials{Identity: who, Brought: tt.brought, Password: []byte(password)})
		}
		if _, err := login("", "", "tcp"); !errors.Is(err, tt.nameless) {
			t.Errorf("%s, brought %v, without a name: %v, want %v", tt.remote, tt.brought, err, tt.nameless)
		}
		g, err := login("", "", "insecure")
		if err != nil {
			t.Errorf("%s, brought %v, without a name where anybody may: %v", tt.remote, tt.brought, err)
		}
		g.Listener = "tcp" // as if a reload had closed the other
		if a.Stands(g) != (tt.nameless == nil) {
			t.Errorf("%s, brought %v, stands %v without a name", tt.remote, tt.brought, a.Stands(g))
		}
		login("ann", "wrong", "tcp")
		if _, err := login("ann", "a", "tcp"); !errors.Is(err, tt.locked) {
			t.Errorf("%s, brought %v, after a mistake: %v, want %v", tt.remote, tt.brought, err, tt.locked)
		}
	}
}
