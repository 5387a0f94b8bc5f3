package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the longest scenario read, in octets. The reference, with every
// key and its comments, is a tenth of it.
const maxFile = 256 << 10

// byteOrderMark is what some editors put before a text. YAML allows it.
const byteOrderMark = "\uFEFF"

// A document is a text that has been parsed.
type document struct {
	src  *source
	root ast.Node // nil: there is nothing in it
}

// parseDocument parses a file, or with lines false an argument.
func parseDocument(name string, text []byte, lines bool) (*document, Problems) {
	d := &document{src: &source{name: name}}
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if lines {
		for line := range strings.SplitSeq(string(text), "\n") {
			d.src.lines = append(d.src.lines, strings.TrimSuffix(line, "\r"))
		}
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		at := place{src: d.src, line: 1, column: 1}
		for i, line := range d.src.lines {
			if !utf8.ValidString(line) || strings.Contains(line, "\x00") {
				at.line = i + 1
				break
			}
		}
		return nil, Problems{at.problem("not UTF-8; save the file as UTF-8 text")}
	}
	root, err := parse(text)
	if err != nil {
		at := place{src: d.src, line: 1, column: 1}
		var ye yaml.Error
		if errors.As(err, &ye) {
			if p := ye.GetToken().Position; p != nil {
				at.line, at.column = p.Line, max(p.Column, 1)
			}
			return nil, Problems{at.problem("not YAML: %s", advice(ye.GetMessage()))}
		}
		return nil, Problems{at.problem("not YAML: %v", err)}
	}
	d.root = root
	return d, nil
}

// advice adds what to do to the messages of the parser that everybody meets.
func advice(message string) string {
	for _, a := range []struct{ said, help string }{
		{"'\t'", "indent with blanks, not with tabs"},
		{"mapping value is not allowed", "indent the next line less, or quote a value that has a colon in it"},
		{"value is not allowed", "indent it as the lines beside it"},
	} {
		if strings.Contains(message, a.said) {
			return message + "; " + a.help
		}
	}
	return message
}

// parse returns the root of the document, nil if it is empty. Repeated keys
// are left in for the reader to complain about.
func parse(text []byte) (ast.Node, error) {
	if err := plain(text); err != nil {
		return nil, err
	}
	f, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	var root ast.Node
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if root != nil {
			return nil, errors.New("more than one document")
		}
		root = d.Body
	}
	return root, nil
}

// The parser's time grows with the square of the lines and of the depth at
// which brackets nest. Ours nest five deep.
const (
	maxLines = 8000
	maxLine  = 16 << 10 // octets
	maxDepth = 32
)

// plain refuses texts that would cost the parser more than a scenario is
// worth.
func plain(text []byte) error {
	if len(text) > maxFile {
		return fmt.Errorf("it is longer than %d KiB; a scenario is not", maxFile>>10)
	}
	if bytes.Count(text, []byte("\n")) > maxLines {
		return fmt.Errorf("there are more than %d lines", maxLines)
	}
	depth := 0
	for line := range bytes.Lines(text) {
		if len(line) > maxLine {
			return fmt.Errorf("a line is longer than %d KiB", maxLine>>10)
		}
		depth += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		depth -= bytes.Count(line, []byte("]")) + bytes.Count(line, []byte("}"))
		if depth > maxDepth {
			return fmt.Errorf("brackets nest more than %d deep", maxDepth)
		}
	}
	return nil
}

// parseSetting parses "a.b.c=value" as the document {a: {b: {c: value}}}. A
// value that is not a list, a section or quoted need not be quoted here.
func parseSetting(arg string) (*document, Problems) {
	src := &source{name: "--with " + arg}
	complain := func(format string, args ...any) (*document, Problems) {
		return nil, Problems{place{src: src}.problem(format, args...)}
	}
	key, value, ok := strings.Cut(arg, "=")
	if !ok {
		return complain("there is no value; write KEY=VALUE, such as reports.every=5s")
	}
	parts := strings.Split(key, ".")
	for _, p := range parts {
		if strings.Trim(p, " ") == "" {
			return complain("%q is not a key; write one like reports.every", key)
		}
	}
	if len(parts) > maxDepth {
		return complain("%q is no key of a scenario", key)
	}
	if !strings.ContainsAny(value[:min(1, len(value))], `[{"'`) {
		value = quoted(value)
	}
	text := value
	for i := len(parts) - 1; i >= 0; i-- {
		text = "{" + quoted(parts[i]) + ": " + text + "}"
	}
	d, problems := parseDocument(src.name, []byte(text), false)
	if len(problems) > 0 {
		return nil, problems
	}
	return d, nil
}

// quoted writes s in YAML's double quotes.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
