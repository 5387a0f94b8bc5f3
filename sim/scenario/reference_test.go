package scenario

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/radio"
)

const referenceHead = `# Every key of a scenario, with its default: what is left out is as it says here.
# Lines that begin with "#key:" are keys without a default.
#
# The scenarios that come with the program are better to start from. List them
# with "dormouse sim ls"; ask what a file says with "dormouse sim explain FILE".
#
# Durations are 500ms, 10s, 1h30m, 7d. Shares are 20% or 0.2. Counts may be 10k.
`

// TestReference keeps reference.yaml what it claims to be. To write it anew:
// go test ./sim/scenario -update
func TestReference(t *testing.T) {
	w := &writer{comments: map[string]string{}}
	for _, dir := range []string{".", "..", "../energy", "../payload", "../radio", "../workload"} {
		w.read(t, dir)
	}
	w.b.WriteString(referenceHead)
	w.section("", reflect.ValueOf(example()).Elem(), true)
	want := w.b.String()
	if *update {
		if err := os.WriteFile("reference.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("reference.yaml does not say what the types say; run: go test ./sim/scenario -update")
	}

	// It is a scenario, and the defaults are what it says they are.
	s, err := Parse("reference.yaml", got)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Parse("bare.yaml", []byte(`{name: reference, about: "What it shows, in one sentence.",
		sites: {building: {}}, radios: {mobile: {}}, groups: {sensors: {energy: {}}}, stages: [{name: day, for: 1d}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dump(s.plan), dump(bare.plan); without(got) != want {
		t.Errorf("the reference is\n%s\nthe defaults are\n%s", without(got), want)
	}
}

// without leaves out of a dump what the example has that is no default.
func without(dump string) string {
	var b strings.Builder
	for line := range strings.Lines(dump) {
		if !strings.Contains(line, "Arrive") && !strings.Contains(line, "Events") && !strings.Contains(line, "Thresholds") &&
			!strings.Contains(line, "Workloads") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// example is the defaults, and one of everything that has a name.
func example() *file {
	f := defaults()
	f.Name, f.About = "reference", "What it shows, in one sentence."
	f.Sites = []site{{Name: "building"}}
	f.Radios = []radioLink{{Name: "mobile"}}
	f.Groups = []group{{Name: "sensors"}}
	f.Groups[0].setDefaults()
	f.Groups[0].Energy = new(hardware)
	f.Groups[0].Energy.setDefaults()
	f.Workloads = []overlay{{Name: "busy"}}
	f.Stages = []stage{{
		Name: "day", For: day, Workload: []assignment{{"sensors", "busy"}}, Arrive: []arrival{{"sensors", sim.Ramp{Over: 10 * time.Minute}}},
	}}
	f.Faults = []fault{{At: time.Hour, Kind: sim.Outage, Group: "sensors", Share: 1, For: time.Minute}}
	f.Thresholds = []threshold{"reports.missing == 0", "sensors: drain.p99 < 5s"}
	f.Short = short{Below: 5 * time.Minute}
	return f
}

// A writer writes a file's keys, each below its comment in the types.
type writer struct {
	b        strings.Builder
	comments map[string]string // by "Type.Field"
}

// read takes the comments of a package's types.
func (w *writer) read(t *testing.T, dir string) {
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing in %s: %v", dir, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			keys := map[string]string{}
			for _, f := range s.Fields.List {
				for _, n := range f.Names {
					keys[n.Name] = snake(n.Name)
				}
			}
			for _, f := range s.Fields.List {
				text := f.Doc.Text()
				if c := f.Comment.Text(); c != "" {
					text = sentence(c)
				}
				if len(f.Names) > 0 {
					w.comments[spec.Name.Name+"."+f.Names[0].Name] = inKeys(text, keys)
				}
			}
			return true
		})
	}
}

// inKeys writes names of fields in a comment as their keys. Words that begin a
// sentence are none, unless it goes on as those about a field do.
func inKeys(text string, keys map[string]string) string {
	var b strings.Builder
	last := 0
	for _, at := range regexp.MustCompile(`[A-Za-z]+`).FindAllStringIndex(text, -1) {
		word, rest := text[at[0]:at[1]], text[at[1]:]
		begins := at[0] == 0 || strings.HasSuffix(strings.TrimSpace(text[:at[0]]), ".")
		key := keys[word]
		if key == "" || begins && !strings.HasPrefix(rest, " is ") && !strings.HasPrefix(rest, " has ") {
			continue
		}
		b.WriteString(text[last:at[0]] + key)
		last = at[1]
	}
	return b.String() + text[last:]
}

// sentence makes one of a comment behind a field; one that begins with a unit
// begins small.
func sentence(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".") + ".\n"
	if unit, _, _ := strings.Cut(s, " "); strings.HasPrefix(unit, "mA") || strings.HasPrefix(unit, "µ") || strings.HasPrefix(unit, "bit") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (w *writer) section(indent string, v reflect.Value, top bool) {
	in := -1 // the inlined field whose keys are being written
	for _, f := range fieldsOf(v.Type()) {
		if len(f.index) == 1 {
			in = -1
		} else if f.index[0] != in {
			in = f.index[0]
			w.comment(indent, w.comments[name(v.Type())+"."+v.Type().Field(in).Name], top)
		}
		w.comment(indent, w.comments[name(f.owner)+"."+f.name], top)
		w.entry(indent, f, v.FieldByIndex(f.index))
	}
}

// name is a type's name without its parameters.
func name(t reflect.Type) string {
	before, _, _ := strings.Cut(t.Name(), "[")
	return before
}

func (w *writer) comment(indent, text string, top bool) {
	if text != "" && top {
		w.b.WriteByte('\n')
	}
	const width = 78
	line := indent + "#"
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+1+len(word) > width {
			w.b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	if text != "" {
		w.b.WriteString(line + "\n")
	}
}

// entry writes one key and what is in it.
func (w *writer) entry(indent string, f field, v reflect.Value) {
	line := func(format string, args ...any) {
		fmt.Fprintf(&w.b, indent+f.key+":"+format+"\n", args...)
	}
	note := ""
	if f.tag.Get("min") != "" {
		note = " # " + f.tag.Get("min") + " to " + f.tag.Get("max")
	} else if cs := choicesOf[v.Type()]; cs != nil {
		note = " # " + names(cs)
	} else if u := f.tag.Get("unit"); u != "" && u != "octets/s" {
		note = " # " + u
	}
	switch x := v.Interface().(type) {
	case *time.Duration, *int:
		fmt.Fprintf(&w.b, "%s#%s:%s\n", indent, f.key, note)
		return
	case radio.Loss:
		line(" 0%%")
		return
	case radio.Delay:
		line(" 0s")
		return
	case *sim.Will:
		fmt.Fprintf(&w.b, "%s#%s: {topic: \"%%g/%%i/status\", payload: lost, qos: 1, retain: true}\n", indent, f.key)
		return
	case []sim.Topic:
		line(" [%q] # or [{name: ab, kind: short}, {name: all, kind: predefined, id: 7}, {name: \"%%g/%%i\", numbered: true}]", x[0].Name)
		return
	case []overlay:
		line("\n%s  %s:\n%s    reports: {every: 10s, jitter: 2s}", indent, x[0].Name, indent)
		return
	case overlay:
		fmt.Fprintf(&w.b, "%s#set: {reports: {every: 5s}, radio: {loss: 40%%}} # with kind set, in place of share and for\n", indent)
		return
	case []assignment:
		line(" {%s: %s}", x[0].Name, x[0].Workload)
		return
	case []arrival:
		line("\n%s  %s:", indent, x[0].Name)
		w.section(indent+"    ", v.Index(0), false)
		return
	case []threshold:
		line(" [%q, %q]", x[0], x[1])
		return
	case []radio.Interval:
		line(" [] # such as [{at: 2h, for: 10m}]")
		return
	case radio.Link:
		line(" {}")
		return
	case radioLink:
		if len(indent) > 2 { // that of a group: those above are shown
			line(" {} # or a name: mobile")
			return
		}
	case energy.Link:
		line("")
		w.section(indent+"  ", v.Elem().Elem(), false)
		w.otherLinks(indent + "  ")
		return
	case *hardware:
		line("")
		w.section(indent+"  ", v.Elem(), false)
		return
	}
	switch {
	case isNamed(v):
		line("\n%s  %s:", indent, v.Index(0).FieldByName("Name"))
		w.section(indent+"    ", v.Index(0), false)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		line("")
		item := writer{comments: w.comments}
		item.section(indent+"    ", v.Index(0), false)
		key := indent + "    " + fieldsOf(v.Type().Elem())[0].key + ":"
		before, after, _ := strings.Cut(item.b.String(), key)
		w.b.WriteString(strings.ReplaceAll(before, indent+"    #", indent+"  #") + indent + "  - " + strings.TrimLeft(key, " ") + after)
	case v.Kind() == reflect.Slice:
		line(" []%s", note)
	case isSection(v):
		line("")
		w.section(indent+"  ", v, false)
	default:
		line(" %s%s", word(v), note)
	}
}

// otherLinks writes the keys of the radios that are not the example's.
func (w *writer) otherLinks(indent string) {
	for _, name := range []string{"ble-nrf52840", "lora-sx1262-sf10", "nbiot-generic"} {
		p, _ := energy.ProfileNamed(name)
		other := writer{comments: w.comments}
		other.section("", reflect.ValueOf(p.Link).Elem(), false)
		fmt.Fprintf(&w.b, "%s# Of %s instead:\n", indent, name)
		for line := range strings.Lines(other.b.String()) {
			if strings.HasPrefix(line, "#") {
				w.b.WriteString(indent + "#   " + strings.TrimPrefix(line, "# "))
			} else {
				w.b.WriteString(indent + "#" + line)
			}
		}
	}
}

// word writes a scalar.
func word(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return duration(x)
	}
	if choicesOf[v.Type()] != nil {
		return wordOf(v)
	}
	s := fmt.Sprint(v)
	if v.Kind() == reflect.String && (s == "" || strings.ContainsAny(s, "%:,#") || strings.Contains(s, ". ")) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
