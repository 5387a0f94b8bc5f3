package router

import (
	"errors"
	"strings"
	"testing"
)

func TestShareGrammar(t *testing.T) {
	for _, tt := range []struct {
		s, name, filter string // no filter: invalid
	}{
		{"$share/g/a", "g", "a"},
		{"$share/g/+/b/#", "g", "+/b/#"},
		{"$share/g//", "g", "/"},
		{"$share/g//finance", "g", "/finance"},
		{"$share/g/$SYS/#", "g", "$SYS/#"},
		{"$share/g/$share/h/a", "g", "$share/h/a"}, // a filter that begins with a dollar sign
		{"$share/Gruppe ü/a", "Gruppe ü", "a"},
		{"$share/" + strings.Repeat("g", 1024) + "/" + strings.Repeat("x", 1024), strings.Repeat("g", 1024), strings.Repeat("x", 1024)},
		{"$SHARE/g/a", "", "$SHARE/g/a"},
		{"$share", "", "$share"},
		{"$shared/g/a", "", "$shared/g/a"},
		{"a/$share/g/a", "", "a/$share/g/a"},
		{"$share/", "", ""},
		{"$share/g", "", ""},
		{"$share/g/", "", ""},
		{"$share//a", "", ""},
		{"$share//", "", ""},
		{"$share/+/a", "", ""},
		{"$share/#/a", "", ""},
		{"$share/g+/a", "", ""},
		{"$share/g#/a", "", ""},
		{"$share/g/a#", "", ""},
		{"$share/g/#/a", "", ""},
		{"$share/g\x00/a", "", ""},
		{"$share/\xff/a", "", ""},
		{"$share/" + strings.Repeat("g", 1025) + "/a", "", ""},
		{"$share/g/" + strings.Repeat("x", 1025), "", ""},
		{"$share/g/" + strings.Repeat("+/", 8) + "#", "", ""}, // 9 wildcards
		{"", "", ""},
	} {
		err := ValidSubscription(tt.s, limits)
		if valid := tt.filter != ""; (err == nil) != valid || !valid && !errors.Is(err, ErrInvalid) {
			t.Errorf("ValidSubscription(%.40q) = %v, want valid: %v", tt.s, err, valid)
		}
		if tt.filter == "" {
			continue
		}
		name, filter, shared := CutShare(tt.s)
		if name != tt.name || filter != tt.filter || shared != (tt.name != "") {
			t.Errorf("CutShare(%.40q) = %.40q, %.40q, %v; want %.40q, %.40q", tt.s, name, filter, shared, tt.name, tt.filter)
		}
	}
}
