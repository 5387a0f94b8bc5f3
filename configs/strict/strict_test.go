package strict_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dormouse/configs/strict"
)

// parsed parses a text that is right.
func parsed(t *testing.T, text string) *strict.Node {
	t.Helper()
	d, p := strict.Parse("f.yaml", []byte(text))
	if p != nil {
		t.Fatalf("Parse(%q): %v", text, p)
	}
	return d.Root
}

// outline writes a node in one line, each value with its place.
func outline(n *strict.Node) string {
	where := fmt.Sprintf("@%d:%d", n.At.Line, n.At.Column)
	var in []string
	switch n.Kind {
	case strict.Word:
		return n.Word + where
	case strict.Nothing:
		return "nothing" + where
	case strict.Reference:
		return "reference" + where
	case strict.List:
		for _, item := range n.Items {
			in = append(in, outline(item))
		}
		return "[" + strings.Join(in, " ") + "]" + where
	}
	n.Keys("", func(at strict.Place, format string, args ...any) {
		in = append(in, at.Problem(format, args...).Message)
	}, func(name string, at strict.Place, n *strict.Node) {
		in = append(in, fmt.Sprintf("%s@%d:%d=%s", name, at.Line, at.Column, outline(n)))
	})
	return "{" + strings.Join(in, " ") + "}" + where
}

// TestParse: a value is the word that is written, and everything has the place
// where its first letter stands.
func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"words", "a: no\nb: 1e3\nc: '0x10'\nd: ~\n", "{a@1:1=no@1:4 b@2:1=1e3@2:4 c@3:1=0x10@3:4 d@4:1=nothing@4:4}@1:1"},
		{"blocks", "a:\n  b:\n    - c\n    - d: e\n", "{a@1:1={b@2:3=[c@3:7 {d@4:7=e@4:10}@4:7]@3:5}@2:3}@1:1"},
		{"flow", "a: {b: [c, d]}\n", "{a@1:1={b@1:5=[c@1:9 d@1:12]@1:8}@1:4}@1:1"},
		{"many lines in one", "a: |\n  b\n  c\n", "{a@1:1=b\nc\n@1:4}@1:1"},
		{"a key twice", "a: 1\na: 2\n", "{a@1:1=1@1:4 a is set twice, first in line 1; keep one}@1:1"},
		{"references", "a: &x 1\nb: *x\nc: !!str 2\n", "{a@1:1=reference@1:4 b@2:1=reference@2:4 c@3:1=reference@3:4}@1:1"},
		{"another editor", "\uFEFFa: 1\r\nb: 2\r\n", "{a@1:1=1@1:4 b@2:1=2@2:4}@1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := outline(parsed(t, tt.text)); got != tt.want {
				t.Errorf("Parse(%q) is\n%s\nwant\n%s", tt.text, got, tt.want)
			}
		})
	}
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n"} {
		if root := parsed(t, text); root != nil {
			t.Errorf("Parse(%q) is %s, want nothing", text, outline(root))
		}
	}
}

// TestRefused: what is no text, no YAML or more than is worth reading is told
// with its place.
func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"Latin-1", "a: 1\nb: \xe9\n", "f.yaml:2:1: not UTF-8; save the file as UTF-8 text\n    2 | b: \uFFFD\n      | ^"},
		{"octets", "a\x00b", "f.yaml:1:1: not UTF-8; save the file as UTF-8 text\n    1 | a\uFFFDb\n      | ^"},
		{"a tab", "a:\n\tb: 1\n", "f.yaml:2:1: not YAML: found character '\\t' that cannot start any token; indent with blanks, not with tabs"},
		{"a colon too many", "a: b: c\n", "quote a value that has a colon in it"},
		{"two documents", "a: 1\n---\nb: 1\n", "f.yaml:1:1: not YAML: more than one document"},
		{"long", strings.Repeat("# much ado\n", 1<<15), "f.yaml:1:1: not YAML: it is longer than 256 KiB"},
		{"many lines", strings.Repeat("\n", 8001), "there are more than 8000 lines"},
		{"a long line", "a: " + strings.Repeat("x", 20<<10), "a line is longer than 16 KiB"},
		{"deep", strings.Repeat("[", 10_000), "brackets nest more than 32 deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p := strict.Parse("f.yaml", []byte(tt.text))
			if p == nil || !strings.Contains(p.Error(), tt.want) {
				t.Errorf("Parse says %v, want %s", p, tt.want)
			}
		})
	}
}

// TestArgument: what is wrong with an argument is told without a line, for
// there is one only.
func TestArgument(t *testing.T) {
	d, p := strict.ParseArgument("--set a={b: 1}", "{b: 1}")
	if p != nil {
		t.Fatal(p)
	}
	if !d.Root.At.InArgument() || parsed(t, "a: 1").At.InArgument() {
		t.Error("an argument is taken for a file, or a file for an argument")
	}
	if got, want := d.Root.At.Problem("b is %d", 1).Error(), "--set a={b: 1}: b is 1"; got != want {
		t.Errorf("it says %s, want %s", got, want)
	}
	if _, p = strict.ParseArgument("--set a=[", "["); p == nil || !strings.HasPrefix(p.Error(), "--set a=[: not YAML: ") {
		t.Errorf("it says %v, want that it is not YAML", p)
	}
}

// TestReadFile: the error says what to do, or lets the caller say so.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := strict.ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v, want one that is fs.ErrNotExist", err)
	}
	if _, err := strict.ReadFile(dir); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v, want one that is EISDIR", err)
	}
	name := filepath.Join(dir, "long")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := strict.ReadFile(name); err != nil || len(text) != 256<<10+1 {
		t.Errorf("of a file of 1 MiB %d octets are read, %v; want just enough to see that it is too long", len(text), err)
	}
}

// FuzzParse: whatever the text is, there is a document or a problem, every
// node has a place, and every problem a message that steers no terminal.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"a: 1\n", "a: [b, {c: d}]", "a: &x |\n b\nc: *x\n<<: *x\n", "? {a: b}\n: c\n", "\t", "- - - a", "a: \xff"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, p := strict.Parse("f", text)
		if (d == nil) == (p == nil) {
			t.Fatalf("Parse(%q) = %v, %v", text, d, p)
		}
		if p != nil {
			if p.Message == "" || strings.ContainsFunc(p.Message+p.Excerpt, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("Parse(%q) says %q", text, p.Error())
			}
			return
		}
		if d.Root != nil && strings.Contains(outline(d.Root), "@0:") {
			t.Fatalf("Parse(%q) has a value without a place: %s", text, outline(d.Root))
		}
	})
}
