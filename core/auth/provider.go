package auth

import (
	"crypto/x509"
	"errors"
	"time"

	"dormouse/core"
)

// Credentials are what a client shows of itself.
type Credentials struct {
	// Identity is whence it comes and what it calls itself. Its User proves
	// nothing yet, and it has no Roles.
	core.Identity

	// Brought is whether a proxy says where it comes from: then it is none of this
	// machine's, even where its address is.
	Brought bool

	Password []byte

	// Certificate is what the client has shown, once it is verified that an
	// authority of the listener's vouches for it. Nil: none.
	Certificate *x509.Certificate
}

// A Grant is as whom a client may connect, with the User, and the Roles, that
// rules, ownership and logs are to see, and why.
type Grant struct {
	core.Identity
	Proof
}

// A Proof is why a client was let in.
type Proof struct {
	Until time.Time // when it has to go. Zero: it need not

	by      string // which provider; empty: it needed none
	brought bool   // as of its Credentials, if none
	user    *user  // of a password file
	key     any    // public, by which a token was signed
}

// A Provider knows some clients. It is safe for concurrent use.
type Provider interface {
	// Check says as whom c may connect. Errors are ErrUnknown, which has the next
	// provider asked, or that of Authenticate, which ends it.
	Check(c Credentials) (Grant, error)

	// Stands reports whether g, which it or one before a reload has given, may
	// still be had.
	Stands(g *Grant) bool
}

// ErrUnknown: it is for somebody else to say who this is.
var ErrUnknown = errors.New("not known here")
