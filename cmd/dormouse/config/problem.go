package config

import (
	"fmt"
	"strings"
	"unicode"
)

// A Problem is one thing wrong with a configuration, and what to do about it.
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

// Problems are all that is wrong with a configuration.
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

// A source is a text that settings come from.
type source struct {
	name  string
	lines []string // nil for "--set", which has no lines worth showing
}

// A place is where in a source something was written. The zero place is a
// default.
type place struct {
	src          *source
	line, column int
}

// maxExcerpt is the longest line shown; a longer one says nothing to anyone.
const maxExcerpt = 160

func (at place) problem(format string, args ...any) *Problem {
	p := &Problem{Source: "default", Message: printable(strings.ReplaceAll(fmt.Sprintf(format, args...), "\t", `\t`))}
	if at.src == nil {
		return p
	}
	p.Source = printable(at.src.name)
	if at.src.lines == nil {
		return p
	}
	p.Line, p.Column = at.line, at.column
	if at.line <= len(at.src.lines) {
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
