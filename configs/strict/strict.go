// Package strict reads YAML as people write it by hand, for programs that
// refuse what they do not understand: every value with the place where it
// stands, every mistake with its line, a caret below it and what to do.
//
// It reads less than YAML is. Anchors, aliases and tags are left to their
// reader to refuse, a file is one document, and a value is the word that is
// written: that "no" is false and 1e3 a number is not for a file to decide.
package strict

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

// A Document is a text that has been parsed.
type Document struct {
	Source *Source
	Root   *Node // nil: there is nothing in it but comments
}

// A Node is a value as it is written.
type Node struct {
	Kind  Kind
	At    Place
	Word  string  // of a Word: the text, without quotes
	Items []*Node // of a List
	keys  []key   // of a Section
}

// A Kind is what a value is written as.
type Kind uint8

const (
	Nothing Kind = iota // a key without a value
	Word                // one value, whatever YAML takes it for
	List
	Section   // keys with values
	Reference // an anchor, an alias or a tag
)

// A key is one line of a section.
type key struct {
	name  string
	at    Place
	value *Node
}

// Keys calls each for the keys of a section, in their order, but for one that
// is there twice, of which it complains. section is the section's own key.
func (n *Node) Keys(section string, complain func(at Place, format string, args ...any), each func(name string, at Place, value *Node)) {
	first := map[string]int{}
	for _, k := range n.keys {
		if line, ok := first[k.name]; ok {
			complain(k.at, "%s is set twice, first in line %d; keep one", Join(section, k.name), line)
			continue
		}
		first[k.name] = k.at.Line
		each(k.name, k.at, k.value)
	}
}

// byteOrderMark is what some editors put before a text. YAML allows it.
const byteOrderMark = "\uFEFF"

// Parse parses the text of a file. There is a document or a problem.
func Parse(name string, text []byte) (*Document, *Problem) {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	src := &Source{Name: name}
	for line := range strings.SplitSeq(string(text), "\n") {
		src.lines = append(src.lines, strings.TrimSuffix(line, "\r"))
	}
	return src.parse(text)
}

// ParseArgument parses the value in an argument, such as "--set KEY=VALUE",
// which is its name. There is a document or a problem.
func ParseArgument(name, text string) (*Document, *Problem) {
	return (&Source{Name: name}).parse([]byte(text))
}

func (s *Source) parse(text []byte) (*Document, *Problem) {
	at := Place{Source: s, Line: 1, Column: 1}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		for i, line := range s.lines {
			if !utf8.ValidString(line) || strings.Contains(line, "\x00") {
				at.Line = i + 1
				break
			}
		}
		return nil, at.Problem("not UTF-8; save the file as UTF-8 text")
	}
	root, err := parse(text)
	var ye yaml.Error
	switch {
	case errors.As(err, &ye):
		if p := ye.GetToken().Position; p != nil {
			at.Line, at.Column = p.Line, max(p.Column, 1)
		}
		return nil, at.Problem("not YAML: %s", advice(ye.GetMessage()))
	case err != nil:
		return nil, at.Problem("not YAML: %v", err)
	}
	d := &Document{Source: s}
	if root != nil {
		d.Root = s.node(root)
	}
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
// are left in for [Node.Keys] to complain about.
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

// MaxDepth is how deep brackets may nest.
const MaxDepth = 32

// The parser's time grows with the square of the lines and of the depth at
// which brackets nest. The longest file of ours, with every key and its
// comments, has 400 lines and 15 KiB, and nests five deep.
const (
	maxFile  = 256 << 10 // octets
	maxLine  = 16 << 10  // octets
	maxLines = 8000
)

// plain refuses texts that would cost the parser more than they are worth.
func plain(text []byte) error {
	if len(text) > maxFile {
		return fmt.Errorf("it is longer than %d KiB", maxFile>>10)
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
		if depth > MaxDepth {
			return fmt.Errorf("brackets nest more than %d deep", MaxDepth)
		}
	}
	return nil
}

// node takes over what the parser found.
func (s *Source) node(n ast.Node) *Node {
	to := &Node{Kind: Word, At: s.place(n)}
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		to.Kind = Reference
	case *ast.NullNode:
		to.Kind = Nothing
	case ast.MapNode:
		to.Kind = Section
		for it := n.MapRange(); it.Next(); {
			to.keys = append(to.keys, key{it.Key().GetToken().Value, s.place(it.Key()), s.node(it.Value())})
		}
	case *ast.SequenceNode:
		to.Kind = List
		for _, item := range n.Values {
			to.Items = append(to.Items, s.node(item))
		}
	case *ast.LiteralNode:
		to.Word = n.Value.Value
	default:
		to.Word = n.GetToken().Value
	}
	return to
}

// place returns where n is written. A block's own token is the colon or the
// dash in it, so the place of its first entry is the better one.
func (s *Source) place(n ast.Node) Place {
	switch b := n.(type) {
	case *ast.MappingNode:
		if !b.IsFlowStyle && len(b.Values) > 0 {
			return s.place(b.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return s.place(b.Key)
	}
	p := n.GetToken().Position
	return Place{Source: s, Line: p.Line, Column: max(p.Column, 1)}
}
