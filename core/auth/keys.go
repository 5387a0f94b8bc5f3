package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys are the pre-shared keys of a file as Mosquitto has it for psk_file: an
// identity, a colon and a key in hexadecimal digits a line, "#" before a
// comment. They do not change.
type Keys struct {
	byIdentity map[string][]byte

	// Exposed is whether every user of the machine may read the file, and so
	// the keys.
	Exposed bool

	// Short is how many of the keys have fewer than 16 octets.
	Short int
}

// What a pre-shared key may be. RFC 4279 §5.3 has anyone take identities of 128
// octets and keys of 64; a key of less than 8 can be found by trying, from one
// handshake overheard.
const (
	maxIdentity = 128
	minKey      = 8
	maxKey      = 64
	plenty      = 16
)

// ReadKeys reads a file of pre-shared keys. Its error is Problems, and tells no
// key. A file without any lets nobody in.
func ReadKeys(name string) (*Keys, error) {
	text, exposed, err := readText(name, "a file of keys", "umask 077; echo IDENTITY:$(openssl rand -hex 16) >>")
	if err != nil {
		return nil, err
	}
	k := &Keys{byIdentity: make(map[string][]byte), Exposed: exposed}
	var problems Problems
	lines := make(map[string]int)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		identity, key, err := parseKey(string(line))
		switch first := lines[identity]; {
		case err != nil:
		case key == nil:
			continue
		case first != 0:
			err = fmt.Errorf("identity %q is in line %d already; keep one", identity, first)
		}
		if err != nil {
			if problems = append(problems, &Problem{name, number, err.Error()}); len(problems) == maxProblems {
				break
			}
			continue
		}
		lines[identity], k.byIdentity[identity] = number, key
		if len(key) < plenty {
			k.Short++
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return k, nil
}

// parseKey reads a line. The key is nil if there is none in it.
func parseKey(line string) (identity string, key []byte, err error) {
	if len(line) > maxLine {
		return "", nil, fmt.Errorf("it is longer than %d octets; an identity and a key are not", maxLine)
	}
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", nil, nil
	}
	identity, digits, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return "", nil, errors.New("there is no colon; a line is an identity, a colon and a key in hexadecimal digits")
	case identity == "" || len(identity) > maxIdentity:
		return "", nil, fmt.Errorf("the identity has %d octets; it must be 1 to %d", len(identity), maxIdentity)
	case !utf8.ValidString(identity) || strings.ContainsFunc(identity, unicode.IsControl):
		return "", nil, fmt.Errorf("identity %q has characters in it that cannot be printed; leave them out", identity)
	}
	key, err = hex.DecodeString(digits)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("the key of %q is not an even number of hexadecimal digits", identity)
	case len(key) < minKey || len(key) > maxKey:
		return "", nil, fmt.Errorf("the key of %q has %d octets; it must be %d to %d, and %d are plenty: openssl rand -hex 16", identity, len(key), minKey, maxKey, plenty)
	}
	return identity, key, nil
}

// Key returns the key of an identity, and whether it has one.
func (k *Keys) Key(identity []byte) (key []byte, known bool) {
	key, known = k.byIdentity[string(identity)]
	return key, known
}

// Len is how many identities have a key.
func (k *Keys) Len() int { return len(k.byIdentity) }
