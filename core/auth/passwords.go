package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"
)

// passwords are the provider of those whose names are in some of the password
// files, one after another.
type passwords struct {
	*Authenticator
	users    *users
	from, to int // which, to excluded
}

// remembered is how long a password that was right needs no hash. Clients
// behind a bad link connect again and again.
const remembered = 5 * time.Minute

// Check says whether the client has the password of its name.
func (p passwords) Check(c Credentials) (Grant, error) {
	u := p.users.byName[c.User]
	if u == nil || u.file < p.from || u.file >= p.to {
		return Grant{}, ErrUnknown
	}
	if len(c.Password) == 0 {
		return Grant{}, ErrBad
	}
	now, mac := time.Now(), p.mac(c.Password)
	if shown := u.proof.Load(); shown != nil && now.Before(shown.until) && hmac.Equal(shown.mac, mac) {
		p.remembered.Add(1)
		return Grant{c.Identity, Proof{by: byPassword, user: u}}, nil
	}
	if err := p.hash(u, c.Password); err != nil {
		return Grant{}, err
	}
	u.proof.Store(&proof{mac, now.Add(remembered)})
	return Grant{c.Identity, Proof{by: byPassword, user: u}}, nil
}

const byPassword = "password"

// Stands is so while the user is in a file with the same password.
func (p passwords) Stands(g *Grant) bool {
	u := p.users.byName[g.User]
	return g.by == byPassword && u != nil && u.hash.equals(&g.user.hash)
}

// stall refuses a name that nobody knows. It costs a hash, too, so that the time
// taken tells nobody which names there are.
func (a *Authenticator) stall(us *users, password []byte) error {
	if len(password) == 0 || us.nobody == nil { // nobody has a password: there is nothing to hide
		return ErrBad
	}
	a.mac(password)
	if err := a.hash(us.nobody, password); err != nil {
		return err
	}
	return ErrBad
}

// hash says whether u has that password, in its turn.
func (a *Authenticator) hash(u *user, password []byte) error {
	if !a.enter() {
		a.busy.Add(1)
		return ErrBusy
	}
	defer a.leave()
	a.hashed.Add(1)
	if !u.hash.Matches(password) {
		return ErrBad
	}
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
