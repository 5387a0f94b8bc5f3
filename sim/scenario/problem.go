package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Problem is one thing wrong with a scenario, and what to do about it.
type Problem struct {
	Source  string // the file, or "--with KEY=VALUE"
	Line    int
	Column  int
	Message string
	Excerpt string // the line, printable
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

// Problems are all that is wrong with a scenario, in the order of its lines.
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

// maxProblems is how many problems are worth telling at once.
const maxProblems = 50

// tidy returns the problems in order, each once.
func (ps Problems) tidy() Problems {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	seen := map[Problem]bool{}
	ps = slices.DeleteFunc(ps, func(p *Problem) bool {
		again := seen[*p]
		seen[*p] = true
		return again
	})
	if len(ps) > maxProblems {
		more := &Problem{Source: ps[0].Source, Message: fmt.Sprintf("and %d more", len(ps)-maxProblems)}
		ps = append(ps[:maxProblems:maxProblems], more)
	}
	return ps
}

// A source is a text that keys come from.
type source struct {
	name  string
	lines []string // nil for "--with", which has no lines worth showing
}

// A place is where in a source something was written.
type place struct {
	src          *source
	line, column int
}

// maxExcerpt is the longest line shown; a longer one says nothing to anyone.
const maxExcerpt = 160

func (at place) problem(format string, args ...any) *Problem {
	p := &Problem{
		Source:  printable(at.src.name),
		Message: printable(strings.ReplaceAll(fmt.Sprintf(format, args...), "\t", `\t`)),
	}
	if at.src.lines == nil {
		return p
	}
	p.Line, p.Column = at.line, at.column
	if 0 < at.line && at.line <= len(at.src.lines) {
		if line := at.src.lines[at.line-1]; len(line) <= maxExcerpt && at.column <= len(line)+1 {
			p.Excerpt = printable(line)
		}
	}
	return p
}

// printable keeps what a file says from steering a terminal or a log.
func printable(s string) string {
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
