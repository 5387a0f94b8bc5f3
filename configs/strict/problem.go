package strict

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A Problem is one thing wrong with a text, and what to do about it.
type Problem struct {
	Source  string `json:"source"` // the file, or "--set KEY=VALUE"
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Excerpt string `json:"excerpt,omitempty"` // the line, printable
}

// Error returns the problem as compilers write theirs, with the line and a
// caret below it.
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Source + ": " + p.Message
	}
	s := fmt.Sprintf("%s:%d:%d: %s", p.Source, p.Line, p.Column, p.Message)
	if p.Excerpt != "" {
		s += fmt.Sprintf("\n%5d | %s\n      | %s^", p.Line, p.Excerpt, strings.Repeat(" ", p.Column-1))
	}
	return s
}

// Problems are all that is wrong.
type Problems []*Problem

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Brief is Error without the lines of files, for logs: who reads those need not
// know what is in the files.
func (ps Problems) Brief() string {
	bare := slices.Clone(ps)
	for i, p := range ps {
		q := *p
		q.Excerpt = ""
		bare[i] = &q
	}
	return bare.Error()
}

// MaxProblems is how many problems are worth telling at once.
const MaxProblems = 50

// Tidy returns the problems each once, source after source and there in the
// order of the lines; the first MaxProblems, and how many more there are.
func (ps Problems) Tidy() Problems {
	turn := map[string]int{}
	for _, p := range ps {
		if _, ok := turn[p.Source]; !ok {
			turn[p.Source] = len(turn)
		}
	}
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(turn[a.Source], turn[b.Source]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	seen := map[Problem]bool{}
	ps = slices.DeleteFunc(ps, func(p *Problem) bool {
		again := seen[*p]
		seen[*p] = true
		return again
	})
	if len(ps) > MaxProblems {
		more := &Problem{Source: ps[0].Source, Message: fmt.Sprintf("and %d more", len(ps)-MaxProblems)}
		ps = append(ps[:MaxProblems:MaxProblems], more)
	}
	return ps
}

// A Source is a text that keys come from.
type Source struct {
	Name  string
	lines []string // nil for an argument, which has no lines worth showing
}

// A Place is where in a source something was written. The zero Place is a
// default.
type Place struct {
	Source       *Source
	Line, Column int // from 1 on
}

// InArgument reports whether the place is in an argument, not in a file.
func (at Place) InArgument() bool { return at.Source.lines == nil }

// maxExcerpt is the longest line shown; a longer one says nothing to anyone.
const maxExcerpt = 160

// Problem returns what is wrong at the place.
func (at Place) Problem(format string, args ...any) *Problem {
	p := &Problem{Source: "default", Message: Printable(Discreet(strings.ReplaceAll(fmt.Sprintf(format, args...), "\t", `\t`)))}
	if at.Source == nil {
		return p
	}
	p.Source = Printable(Discreet(at.Source.Name))
	if at.InArgument() {
		return p
	}
	p.Line, p.Column = at.Line, at.Column
	if 0 < at.Line && at.Line <= len(at.Source.lines) {
		if line := at.Source.lines[at.Line-1]; len(line) <= maxExcerpt && at.Column <= len(line)+1 {
			p.Excerpt = Printable(Discreet(line))
		}
	}
	return p
}

// login is a user name in a URL, perhaps, and its password.
var login = regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`)

// Discreet hides passwords in the URLs of a text, which stays as long as it is.
func Discreet(s string) string {
	return login.ReplaceAllStringFunc(s, func(found string) string {
		name := login.FindStringSubmatch(found)[1]
		return name + strings.Repeat("x", len(found)-len(name)-1) + "@"
	})
}

// Printable keeps what a file says from steering a terminal or a log.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
