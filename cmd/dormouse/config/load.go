package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the longest configuration read, in octets. The reference, with
// every key and its comments, is a twentieth of it.
const maxFile = 256 << 10

// Load returns the defaults overlaid by the file, unless its name is empty,
// and then by sets, each "key=value" with a dotted key such as
// "mqttsn.retry.interval" or "listeners.sn.address". The error is Problems:
// everything that is wrong.
func Load(file string, sets []string) (*Config, error) {
	c := Default()
	r := newReader()
	if file != "" {
		r.file(file, c)
	}
	for _, arg := range sets {
		r.set(arg, c)
	}
	r.validate(c)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return c, nil
}

// A reader overlays settings upon a Config. It remembers where each came from
// and what was wrong.
type reader struct {
	src      *source
	at       map[string]place // by key, such as "listeners[0].address"
	bad      map[string]bool  // sections, by key, in which something was wrong
	problems Problems
}

func newReader() *reader {
	return &reader{at: map[string]place{}, bad: map[string]bool{}}
}

// maxProblems is how many problems are worth telling at once.
const maxProblems = 50

func (r *reader) complain(at place, format string, args ...any) {
	switch n := len(r.problems); {
	case n < maxProblems:
		r.problems = append(r.problems, at.problem(format, args...))
	case n == maxProblems:
		r.problems = append(r.problems, place{src: &source{name: at.problem("").Source}}.problem("and more"))
	}
}

// byteOrderMark is what some editors put before a text. YAML allows it.
const byteOrderMark = "\uFEFF"

// file overlays the YAML file of that name.
func (r *reader) file(name string, c *Config) {
	r.src = &source{name: name}
	whole := place{src: r.src}
	text, err := readFile(name)
	if err != nil {
		r.complain(whole, "%v", err)
		return
	}
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	for line := range strings.SplitSeq(string(text), "\n") {
		r.src.lines = append(r.src.lines, strings.TrimSuffix(line, "\r"))
	}
	r.document(text, reflect.ValueOf(c).Elem(), "")
}

// readFile returns the file's octets, or an error that says what to do.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file; give -c another, or none for the defaults")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("it may not be read by this user; change its owner or mode")
	case err != nil:
		return nil, fmt.Errorf("cannot be opened: %w", errors.Unwrap(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if errors.Is(err, syscall.EISDIR) {
		return nil, errors.New("it is a directory; name the file in it")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it is longer than %v; a configuration is not", Bytes(maxFile))
	}
	return text, nil
}

// document reads one YAML document into v, whose key is key.
func (r *reader) document(text []byte, v reflect.Value, key string) {
	root, err := parse(text)
	if err != nil {
		at := place{src: r.src, line: 1, column: 1}
		var ye yaml.Error
		if errors.As(err, &ye) {
			if p := ye.GetToken().Position; p != nil {
				at.line, at.column = p.Line, max(p.Column, 1)
			}
			r.complain(at, "not YAML: %s", advice(ye.GetMessage()))
			return
		}
		r.complain(at, "not YAML: %v", err)
		return
	}
	switch {
	case root == nil: // blank, or nothing but comments: nothing is set
	case key == "" && !isMap(root):
		r.complain(r.placeOf(root), "a configuration is made of keys, such as \"version: 1\"")
	default:
		r.value(key, root, v, "")
	}
}

// advice adds what to do to the one message of the parser that everybody meets.
func advice(message string) string {
	if strings.Contains(message, "'\t'") {
		message += "; indent with blanks, not with tabs"
	}
	return message
}

func isMap(n ast.Node) bool {
	_, ok := n.(ast.MapNode)
	return ok
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
// which brackets nest. Ours nest three deep.
const (
	maxLines = 8000
	maxLine  = 16 << 10 // octets
	maxDepth = 32
)

// plain refuses texts that would cost the parser more than a configuration is
// worth.
func plain(text []byte) error {
	if bytes.Count(text, []byte("\n")) > maxLines {
		return fmt.Errorf("there are more than %d lines", maxLines)
	}
	depth := 0
	for line := range bytes.Lines(text) {
		if len(line) > maxLine {
			return fmt.Errorf("a line is longer than %v", Bytes(maxLine))
		}
		depth += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{"))
		depth -= bytes.Count(line, []byte("]")) + bytes.Count(line, []byte("}"))
		if depth > maxDepth {
			return fmt.Errorf("brackets nest more than %d deep", maxDepth)
		}
	}
	return nil
}

// set overlays one "key=value".
func (r *reader) set(arg string, c *Config) {
	r.src = &source{name: "--set " + arg}
	here := place{src: r.src}
	key, text, ok := strings.Cut(arg, "=")
	if !ok {
		r.complain(here, "there is no value; write --set key=value")
		return
	}
	v, tag, path := reflect.ValueOf(c).Elem(), reflect.StructTag(""), ""
	for part := range strings.SplitSeq(key, ".") {
		var err error
		if v, tag, path, err = descend(v, tag, path, part); err != nil {
			r.complain(here, "%v", err)
			return
		}
	}
	if isScalar(v) && !strings.HasPrefix(text, "'") && !strings.HasPrefix(text, `"`) { // [::1]:0 need not be quoted here
		r.scalar(path, here, text, v, tag)
		return
	}
	r.at[path] = here
	r.document([]byte(text), v, path)
}

// descend finds part, a key or a list's index or the name of one of its
// entries, in v.
func descend(v reflect.Value, tag reflect.StructTag, path, part string) (reflect.Value, reflect.StructTag, string, error) {
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			e := v.Index(i)
			named := e.Kind() == reflect.Struct && e.FieldByName("Name").IsValid() && e.FieldByName("Name").String() == part
			if named || part == fmt.Sprint(i) {
				return e, tag, fmt.Sprintf("%s[%d]", path, i), nil
			}
		}
		return v, tag, path, fmt.Errorf("%s has no entry %q; give its name or its number, counted from 0", path, part)
	case v.Kind() == reflect.Struct && !isScalar(v):
		if f, ok := fieldOf(v.Type(), part); ok {
			return v.FieldByIndex(f.Index), f.Tag, join(path, part), nil
		}
		return v, tag, path, unknownKey(v.Type(), path, part)
	}
	return v, tag, path, fmt.Errorf("%s is a single value and has no %q in it", path, part)
}
