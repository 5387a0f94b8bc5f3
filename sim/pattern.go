package sim

import (
	"errors"
	"strconv"
	"strings"
)

// A pattern is a name with places that each device fills in: the literals
// between them, one more than there are places. Only %i differs between the
// devices of a group once %c and %g are put in.
type pattern []string

// compile reads a pattern of a group. clientID is the group's, itself without
// %c.
func compile(s, group, clientID string) (pattern, error) {
	p := pattern{""}
	add := func(literal string) { p[len(p)-1] += literal }
	for {
		before, after, found := strings.Cut(s, "%")
		add(before)
		if !found {
			return p, nil
		}
		if after == "" {
			return nil, errors.New("ends in %; write %% for a percent sign")
		}
		switch after[0] {
		case '%':
			add("%")
		case 'g':
			add(group)
		case 'i':
			p = append(p, "")
		case 'c':
			id, err := compile(clientID, group, "")
			if err != nil || clientID == "" {
				return nil, errors.New("has %c where there is no client id to put in")
			}
			add(id[0])
			p = append(p, id[1:]...)
		default:
			return nil, errors.New("has %" + after[:1] + "; a pattern knows %i, %c, %g and %%")
		}
		s = after[1:]
	}
}

// own reports whether each device has a name of its own.
func (p pattern) own() bool { return len(p) > 1 }

// of returns the name that device i has.
func (p pattern) of(i int) string {
	if !p.own() {
		return p[0]
	}
	return string(p.append(nil, i))
}

func (p pattern) append(b []byte, i int) []byte {
	b = append(b, p[0]...)
	for _, literal := range p[1:] {
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, literal...)
	}
	return b
}

// device returns whose name this is. ok is false if it is nobody's below n.
func (p pattern) device(name string, n int) (i int, ok bool) {
	rest, ok := strings.CutPrefix(name, p[0])
	if !ok || !p.own() {
		return 0, false
	}
	for end := range rest { // a literal may begin with digits too
		if rest[end] < '0' || rest[end] > '9' || end > 9 {
			break
		}
		i = i*10 + int(rest[end]-'0')
		if i < n && p.of(i) == name {
			return i, true
		}
	}
	return 0, false
}

// filter is what to subscribe to for the names of all devices: each level that
// differs is a wildcard.
func (p pattern) filter() string {
	levels := strings.Split(strings.Join(p, "\x00"), "/")
	for i, l := range levels {
		if strings.Contains(l, "\x00") {
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// longest is how many octets the longest name of n devices has.
func (p pattern) longest(n int) int { return len(p.of(n - 1)) }
