package core

import (
	"crypto/rand"
	"strings"
)

// A client without a client id gets one that begins so and that nobody guesses.
const (
	assigned     = "auto-"
	assignedSize = 26 // of rand.Text, in base32
)

// AssignedID is a client id for a client that has none.
func AssignedID() string { return assigned + rand.Text() }

// IsAssigned reports whether a client id may be one of ours.
func IsAssigned(id string) bool {
	text, ok := strings.CutPrefix(id, assigned)
	return ok && len(text) == assignedSize && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
