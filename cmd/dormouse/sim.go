package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"dormouse/configs/strict"
	"dormouse/sim/report"
	"dormouse/sim/scenario"
)

// A simCmd is all that has to do with scenarios.
type simCmd struct {
	Run     simRunCmd     `cmd:"" help:"Run a scenario: in virtual time against a Dormouse in this process, or with -h or --serve over UDP against a gateway."`
	Ls      simLsCmd      `cmd:"" help:"List the scenarios that come with the program."`
	Show    simShowCmd    `cmd:"" help:"Print the file of such a scenario, to begin one's own with."`
	Explain simExplainCmd `cmd:"" help:"Say in words what a scenario does, and where its figures come from."`
	Set     simSetCmd     `cmd:"" help:"Change a group of a run that goes on."`
	Compare simCompareCmd `cmd:"" help:"Compare the results of two runs."`
}

// A period is a flag's time, with days: 90s, 36h, 7d.
type period time.Duration

// Decode takes the value from the command line.
func (p *period) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		const most = 10_000
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n <= most {
			*p = period(n) * period(24*time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time; give one such as 90s, 36h or 7d", text)
	}
	*p = period(d)
	return nil
}

// briefly writes a time as a flag takes it: 5m rather than 5m0s.
func briefly(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A variant is a scenario with what is to be different.
type variant struct {
	Scenario string   `arg:"" help:"Scenario: a file, or the name of one that comes with the program."`
	Nodes    int      `placeholder:"N" help:"Have so many devices in all, groups in proportion."`
	Duration period   `placeholder:"TIME" help:"Have the stages take so long together, and all else in proportion."`
	Seed     uint64   `placeholder:"N" help:"Seed of all that is left to chance. The same seed gives the same run, in virtual time."`
	With     []string `sep:"none" placeholder:"KEY=VALUE" help:"Set a key over the file, such as groups.meters.reports.every=5s. Repeatable."`
}

// load reads the scenario. The error asks for statusUsage.
func (v *variant) load() (*scenario.Scenario, scenario.Overrides, error) {
	o := scenario.Overrides{Seed: v.Seed, Nodes: v.Nodes, Duration: time.Duration(v.Duration), Sets: v.With}
	if v.Nodes < 0 {
		return nil, o, usage("--nodes is %d; it must be 1 or more", v.Nodes)
	}
	s, err := scenario.Load(v.Scenario)
	if err != nil {
		return nil, o, &failure{statusUsage, err}
	}
	return s, o, nil
}

type simLsCmd struct{}

// Run lists the scenarios.
func (simLsCmd) Run(s *streams) error {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, e := range scenario.Shipped() {
		fmt.Fprintf(table, "%s\t%s\n", e.Name, e.About)
	}
	return table.Flush()
}

type simShowCmd struct {
	Scenario string `arg:"" help:"Name of a scenario that comes with the program, see \"dormouse sim ls\"."`
}

// Run prints the file.
func (c *simShowCmd) Run(s *streams) error {
	text, ok := scenario.Source(c.Scenario)
	if !ok {
		return usage("there is no scenario %q; see \"dormouse sim ls\"", c.Scenario)
	}
	_, err := s.out.Write(text)
	return err
}

type simExplainCmd struct{ variant }

// Run says what the scenario does.
func (c *simExplainCmd) Run(s *streams) error {
	sc, o, err := c.load()
	if err != nil {
		return err
	}
	return wrongScenario(sc.Explain(s.out, o))
}

// wrongScenario gives the error of a scenario its exit status.
func wrongScenario(err error) error {
	var problems strict.Problems
	if errors.As(err, &problems) {
		return &failure{statusUsage, err}
	}
	return err
}

type simCompareCmd struct {
	Old    string `arg:"" help:"Result of the older run, as --json writes it."`
	New    string `arg:"" help:"Result of the newer run."`
	Report string `placeholder:"FILE" help:"Write the newer run's report, compared with the older."`
}

// Run prints what is different.
func (c *simCompareCmd) Run(s *streams) error {
	old, err := readResult(c.Old)
	if err != nil {
		return err
	}
	now, err := readResult(c.New)
	if err != nil {
		return err
	}
	if err := writeResult(s, c.Report, func(w io.Writer) error { return now.HTML(w, old) }); err != nil {
		return err
	}
	return report.CompareText(s.out, old, now)
}

func readResult(name string) (*report.Result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	defer f.Close()
	r, err := report.ReadResult(f)
	if err != nil {
		return nil, &failure{statusUsage, fmt.Errorf("%s: %w", name, err)}
	}
	return r, nil
}
