package auth

import (
	"regexp"
	"strings"

	"dormouse/core"
)

// ClientIDs is which client ids may be.
type ClientIDs struct {
	// Pattern matches all of them. Nil: any may be.
	Pattern *regexp.Regexp

	// Prefix has the client id of who has a user name be that name, or begin with
	// it and one of "-", "_", ".", ":" and "/".
	Prefix bool
}

// Allow is core's question. A name that the broker gave itself always may be.
func (c *ClientIDs) Allow(who core.Identity) bool {
	if core.IsAssigned(who.ClientID) {
		return true
	}
	if c.Pattern != nil && !c.Pattern.MatchString(who.ClientID) {
		return false
	}
	if !c.Prefix || who.User == "" {
		return true
	}
	tail, its := strings.CutPrefix(who.ClientID, who.User)
	return its && (tail == "" || strings.ContainsRune("-_.:/", rune(tail[0])))
}
