package auth

import (
	"crypto/x509"
	"errors"

	"dormouse/core"
)

// Credentials are what a client shows of itself.
type Credentials struct {
	// Identity is whence it comes and what it calls itself. Its User proves
	// nothing yet, and it has no Roles.
	core.Identity

	Password []byte

	// Certificate is what the client has shown, once it is verified that an
	// authority of the listener's vouches for it. Nil: none.
	Certificate *x509.Certificate
}

// A Provider knows some clients. It is safe for concurrent use.
type Provider interface {
	// Check says as whom c may connect: with the User, and the Roles, that rules,
	// ownership and logs are to see. Errors are ErrUnknown, which has the next
	// provider asked, or that of Authenticate, which ends it.
	Check(c Credentials) (core.Identity, error)
}

// ErrUnknown: it is for somebody else to say who this is.
var ErrUnknown = errors.New("not known here")
