package auth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// Tokens are those of one issuer: a client shows one as its password, RFC 7519,
// and is who it says. What else the client calls itself means nothing.
type Tokens struct {
	// URL is where the issuer has its keys, or File a copy: a JSON Web Key Set,
	// RFC 7517.
	URL, File string

	Issuer, Audience string   // what must be in the token
	Claim            string   // which of it is the user name
	RolesClaim       string   // which of it are roles: a list, or text with blanks. Empty: none
	Algorithms       []string // of signatures, such as ES256; those with a shared secret are none
}

// ErrToken: the token is the issuer's, or says so, and is not accepted.
var ErrToken = errors.New("bad token")

// leeway is by how much clocks may differ.
const leeway = 10 * time.Second

// tokens are the provider of those who show one.
type tokens struct {
	*Tokens
	keys   *keySet
	parser *jwt.Parser
}

func newTokens(t *Tokens, keys *keySet) *tokens {
	return &tokens{t, keys, jwt.NewParser(jwt.WithValidMethods(t.Algorithms), jwt.WithIssuer(t.Issuer),
		jwt.WithAudience(t.Audience), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway))}
}

// Check says whom the token names. A password that is no token, or that of
// another issuer, is for others to know.
func (p *tokens) Check(c Credentials) (Grant, error) {
	text := string(c.Password)
	if strings.Count(text, ".") != 2 {
		return Grant{}, ErrUnknown
	}
	claims := jwt.MapClaims{}
	if _, _, err := p.parser.ParseUnverified(text, claims); err != nil {
		return Grant{}, ErrUnknown
	}
	if issuer, err := claims.GetIssuer(); err != nil || issuer != p.Issuer {
		return Grant{}, ErrUnknown
	}
	claims = jwt.MapClaims{}
	var by any
	_, err := p.parser.ParseWithClaims(text, claims, func(t *jwt.Token) (_ any, err error) {
		by, err = p.key(t)
		return by, err
	})
	switch {
	case errors.Is(err, errNoKeys):
		return Grant{}, ErrBusy
	case errors.Is(err, jwt.ErrTokenExpired):
		return Grant{}, fmt.Errorf("%w: it has expired", ErrToken)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Grant{}, fmt.Errorf("%w: it is for another audience", ErrToken)
	case err != nil: // whose words are not for logs: the token is in them
		return Grant{}, ErrToken
	}
	user, _ := claims[p.Claim].(string)
	if !validName(user) {
		return Grant{}, fmt.Errorf("%w: its %s is no user name", ErrToken, p.Claim)
	}
	until, _ := claims.GetExpirationTime() // there is one
	c.User, c.Roles = user, p.roles(claims)
	return Grant{c.Identity, Proof{Until: until.Add(leeway), by: p.name(), key: by}}, nil
}

// validName reports whether a user may be called that.
func validName(user string) bool {
	return user != "" && len(user) <= maxName && utf8.ValidString(user) && !strings.ContainsFunc(user, unicode.IsControl)
}

// name is what tells one issuer's tokens from another's.
func (t *Tokens) name() string { return "token " + t.Issuer + " " + t.Audience }

// Stands is so until the token expires, unless another issuer's are wanted, or the
// issuer is known to have its key no more.
func (p *tokens) Stands(g *Grant) bool { return g.by == p.name() && p.keys.mayHave(g.key) }

// roleName is what a role may be called. Others would not be one name.
var roleName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func (p *tokens) roles(claims jwt.MapClaims) string {
	var names []string
	switch v := claims[p.RolesClaim].(type) {
	case string:
		names = strings.Fields(v)
	case []any:
		for _, name := range v {
			if name, ok := name.(string); ok {
				names = append(names, name)
			}
		}
	}
	return joinRoles(names)
}

// joinRoles is names as an Identity has them.
func joinRoles(names []string) string {
	var good []string
	for _, name := range names[:min(len(names), MaxRoles)] {
		if roleName.MatchString(name) {
			good = append(good, name)
		}
	}
	return strings.Join(good, " ")
}

// key returns the key that t says it is signed with, for the algorithm it says.
// The name of a key is looked up in what the issuer has, and nowhere else.
func (p *tokens) key(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	return p.keys.find(id, t.Method.Alg())
}
