package strict

import (
	"fmt"
	"strings"
)

// Join appends a name to a key.
func Join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// UnknownKey says what name in the section key, empty for the top, may have
// been meant for: one of the known keys there spelt nearly so, or elsewhere, a
// key of that name in another section, empty if there is none.
func UnknownKey(key, name string, known []string, elsewhere string) error {
	where := "at the top"
	if key != "" {
		where = "in " + key
	}
	near := Nearest(name, known)
	switch {
	case near != "":
		return fmt.Errorf("there is no key %q %s; did you mean %q?", name, where, near)
	case elsewhere != "":
		return fmt.Errorf("there is no key %q %s; did you mean %s?", name, where, elsewhere)
	case len(known) == 0:
		return fmt.Errorf("there is no key %q %s, which has none", name, where)
	}
	return fmt.Errorf("there is no key %q %s; the keys there are %s", name, where, strings.Join(known, ", "))
}

// Nearest returns the one of known that name was probably meant to be, or
// nothing: half of a name may be wrong, but of a long one two letters.
func Nearest(name string, known []string) string {
	if near, letters := Closest(name, known); letters <= min(2, len(name)/2) {
		return near
	}
	return ""
}

// Closest returns the one of known that is most like name, however unlike, and
// the number of octets to insert, delete or replace to turn one into the other.
// The time it takes grows with the length of name, but not beyond a key's.
func Closest(name string, known []string) (closest string, octets int) {
	for i, k := range known {
		if d := distance(name, k); i == 0 || d < octets {
			closest, octets = k, d
		}
	}
	return closest, octets
}

// distance is the number of octets to insert, delete or replace to turn a into
// b; beyond the length of a key nobody typed a key, and it is large.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// OneOf lists words as a choice: "a, b or c".
func OneOf(words []string) string {
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return strings.Join(words, "")
}
