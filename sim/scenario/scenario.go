// Package scenario reads what a simulation is to be from YAML: groups of
// devices, the stages of a run and what groups do in them, faults at times, and
// the figures that must come out. It makes a [sim.Plan] of it.
//
// It reads strictly. A key it does not know, a name that stands for nothing, a
// figure that a radio cannot carry: each is refused with its line and what to
// do, all of them at once, and nothing is cut to fit. What goes wrong only when
// luck does, as a retry beyond the duty cycle, is left to the run, whose report
// calls it infeasible.
//
// reference.yaml has every key. Scenarios that come with the program are in
// the folder shipped: see [Shipped].
package scenario

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dormouse/configs/strict"
	"dormouse/sim"
)

// Overrides is what a run has different from its file. The zero Overrides is
// nothing.
type Overrides struct {
	Seed uint64 // 0: the file's

	// Nodes is how many devices there are in all, groups in proportion, each at
	// least one. 0: as many as the file says.
	Nodes int

	// Duration is how long the stages take together, all of them in proportion,
	// and with them the faults. If it is shorter than the file says, the devices'
	// own times shrink too, and the settling, unless the file says scale: stages;
	// and if it is shorter than short.below, the file's short comes first.
	// 0: as the file says.
	Duration time.Duration

	// Sets are "key=value" with a dotted key of the file, such as
	// "groups.meters.reports.every=5s", laid over it.
	Sets []string
}

// A Scenario is a file that has been read, and found good. It is not safe for
// concurrent use.
type Scenario struct {
	doc  *strict.Document
	name string // without folder and ending
	plan *sim.Plan
	over Overrides // of plan
	live []setting // since plan was made
}

// Load reads a file, or, if name is that of one, a scenario that comes with the
// program. The error is [strict.Problems] where the file is to blame.
func Load(name string) (*Scenario, error) {
	if text, ok := Source(name); ok {
		return Parse(name+".yaml", text)
	}
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, text)
}

// readFile returns the file's octets, or an error that says what to do.
func readFile(name string) ([]byte, error) {
	text, err := strict.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing(name)
	case errors.Is(err, syscall.EISDIR):
		return nil, folder(name)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", strict.Printable(name), err)
	}
	return text, nil
}

// missing says that there is no such file, and what there is.
func missing(name string) error {
	var known []string
	for _, e := range Shipped() {
		known = append(known, e.Name)
	}
	stem := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if near := strict.Nearest(stem, known); near != "" {
		return fmt.Errorf("there is no file %s; did you mean %q, which comes with the program?", strict.Printable(name), near)
	}
	return fmt.Errorf("there is no file %s, and no scenario of that name comes with the program; there are %s",
		strict.Printable(name), strings.Join(known, ", "))
}

// folder says that name is one, and which scenarios may be in it.
func folder(name string) error {
	found, err := filepath.Glob(filepath.Join(name, "*.yaml"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("%s is a folder, with no .yaml in it; name a file", strict.Printable(name))
	}
	const few = 10
	if len(found) > few {
		found = append(found[:few:few], fmt.Sprintf("and %d more", len(found)-few))
	}
	return fmt.Errorf("%s is a folder; name a file in it: %s", strict.Printable(name), strict.Printable(strings.Join(found, ", ")))
}

// Parse reads a scenario. name is what messages call it. The error is
// [strict.Problems]: everything that is wrong.
func Parse(name string, text []byte) (*Scenario, error) {
	doc, problem := strict.Parse(name, text)
	if problem != nil {
		return nil, strict.Problems{problem}
	}
	s := &Scenario{doc: doc, name: strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))}
	b := s.build(Overrides{})
	problems := b.problems
	if below := b.file.Short.Below; below > 0 && len(problems) == 0 {
		problems = s.build(Overrides{Duration: asStated}).problems
	}
	if len(problems) > 0 {
		return nil, problems.Tidy()
	}
	s.plan = b.plan
	return s, nil
}

// Name is what the scenario is called.
func (s *Scenario) Name() string { return s.plan.Name }

// About says in a sentence what it shows.
func (s *Scenario) About() string { return s.plan.About }

// Plan makes a plan of the scenario, a new one each time. The error is
// [strict.Problems].
func (s *Scenario) Plan(o Overrides) (*sim.Plan, error) {
	b := s.build(o)
	if len(b.problems) > 0 {
		return nil, b.problems.Tidy()
	}
	s.plan, s.over, s.live = b.plan, o, nil
	return b.plan, nil
}

// shipped are the scenarios that come with the program.
//
//go:embed shipped/*.yaml
var shipped embed.FS

// An Entry is a scenario that comes with the program.
type Entry struct{ Name, About string }

// Shipped lists the scenarios that come with the program, by name.
func Shipped() []Entry {
	files, err := shipped.ReadDir("shipped")
	if err != nil {
		panic(err) // it is embedded
	}
	var es []Entry
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".yaml")
		text, _ := Source(name)
		es = append(es, Entry{name, about(text)})
	}
	return es
}

// about finds the sentence in a file without reading all of it.
func about(text []byte) string {
	for line := range strings.Lines(string(text)) {
		if s, ok := strings.CutPrefix(line, "about: "); ok {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

// Source returns the text of a scenario that comes with the program.
func Source(name string) (text []byte, ok bool) {
	text, err := shipped.ReadFile("shipped/" + name + ".yaml")
	return text, err == nil
}
