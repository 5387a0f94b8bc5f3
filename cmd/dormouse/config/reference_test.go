package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write configs/reference.yaml")

const referenceFile = "../../../configs/reference.yaml"

const referenceHead = `# Every key of Dormouse's configuration, with its default.
#
# Keep what you change and leave out the rest. Check a file with
# "dormouse check -c FILE"; run with it by "dormouse serve -c FILE".
`

// TestReference keeps configs/reference.yaml what it claims to be. To write it
// anew: go test ./cmd/dormouse/config -update
func TestReference(t *testing.T) {
	want := referenceHead + reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("configs/reference.yaml does not say what config.go, auth.go, dtls.go and limits.go say; run: go test ./cmd/dormouse/config -update")
	}
	c, err := Load(referenceFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(normal(c), normal(Default())) {
		t.Errorf("configs/reference.yaml is\n%+v, want the defaults\n%+v", c, Default())
	}
}

// normal makes an empty list nil, as a list that is left out is.
func normal(c *Config) *Config {
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.Slice && v.Len() == 0:
			v.SetZero()
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case v.Kind() == reflect.Struct && !isScalar(v):
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	return c
}

// reference writes the defaults, each key under its comment in the types.
func reference(t *testing.T) string {
	w := &referenceWriter{comments: map[string]string{}}
	for _, name := range []string{"config.go", "auth.go", "dtls.go", "limits.go"} {
		w.read(t, name)
	}
	w.section("", reflect.ValueOf(Default()).Elem(), true)
	return w.b.String()
}

// read takes the comments of the types in a file.
func (w *referenceWriter) read(t *testing.T, name string) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					w.comments[spec.Name.Name+"."+f.Names[0].Name] = f.Doc.Text()
				}
			}
		}
		return true
	})
}

type referenceWriter struct {
	b        strings.Builder
	comments map[string]string // by "Type.Field"
}

func (w *referenceWriter) section(indent string, v reflect.Value, commented bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		l, ok := v.Interface().(Listener)
		foreign := ok && settingsOfSome[name] != nil && !slices.Contains(settingsOfSome[name], l.Type)
		if foreign && !commented {
			continue
		}
		setting := referenceWriter{}
		if commented {
			w.comment(indent, w.comments[v.Type().Name()+"."+f.Name])
			setting.comments = w.comments
		}
		setting.b.WriteString(indent + name + ":")
		setting.entry(indent, v.Field(i), allowed(f.Tag))
		for line := range strings.Lines(setting.b.String()) {
			if text := strings.TrimPrefix(line, indent); foreign && !strings.HasPrefix(strings.TrimSpace(text), "#") {
				line = indent + "#" + text
			}
			w.b.WriteString(line)
		}
	}
}

func (w *referenceWriter) comment(indent, text string) {
	if text != "" && indent == "" {
		w.b.WriteByte('\n')
	}
	for line := range strings.Lines(text) {
		w.b.WriteString(indent + "# " + line)
	}
}

// allowed says what a tag allows, as a comment behind the value.
func allowed(tag reflect.StructTag) string {
	switch {
	case tag.Get("oneof") != "":
		return " # " + choices(tag.Get("oneof"))
	case tag.Get("min") != tag.Get("max"):
		return " # " + tag.Get("min") + " to " + tag.Get("max")
	}
	return ""
}

// entry writes v behind its key, and note behind v.
func (w *referenceWriter) entry(indent string, v reflect.Value, note string) {
	switch {
	case isScalar(v):
		w.b.WriteString(" " + scalarText(v) + note + "\n")
	case v.Kind() == reflect.Struct:
		w.b.WriteByte('\n')
		w.section(indent+"  ", v, true)
	case v.Len() > 0 && v.Index(0).Kind() == reflect.Struct && !isScalar(v.Index(0)):
		w.b.WriteByte('\n')
		for i := range v.Len() {
			item := referenceWriter{comments: w.comments}
			item.section(indent+"    ", v.Index(i), i == 0)
			before, after, _ := strings.Cut(item.b.String(), "  name:")
			w.b.WriteString(strings.ReplaceAll(before, "  #", "#") + "- name:" + after)
		}
	default:
		var words []string
		for i := range v.Len() {
			words = append(words, scalarText(v.Index(i)))
		}
		w.b.WriteString(" [" + strings.Join(words, ", ") + "]" + note + "\n")
	}
}

func scalarText(v reflect.Value) string {
	s := fmt.Sprint(v)
	if s == "" || strings.Contains(s, ":") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
