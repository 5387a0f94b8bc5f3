// Package bench measures Dormouse as its users run it: as a process of its own,
// over real sockets, beside what the machine can do at most and beside other
// brokers. What loads it shares the machine, so that a figure is worth most as a ratio
// to another of the same run.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what to measure, and with what.
type Options struct {
	Rows         []string     // names of them; none: all
	Durabilities []Durability // none: all
	Set          []string     // settings of Dormouse, as its --set takes them

	// Scale is how large each row is, of its full size: 1,000,000 sleepers, and
	// so on. It changes no rate.
	Scale float64

	// For is how long each thing is done that could be done for ever.
	For time.Duration

	Dormouse  string // its program
	Mochi     string // that of sim/bench/mochi; empty: none
	Mosquitto string // its program; empty: none
	OpenSSL   string // its program; empty: none

	Dir      string // of what brokers keep on disk; empty: the system's place for such
	Profiles string // folder for a CPU profile of each row; empty: none
}

// A row is one line of what is to be reached, of one figure or a few.
type row struct {
	name, help string
	measure    func(h *harness) error
}

var rows = []row{
	{"sleepers", "1,000,000 sleeping sensors: memory, connects, and what they cost while they sleep", (*harness).sleepers},
	{"wake", "a message to each of 100,000 sleepers, then all wake", (*harness).wake},
	{"ingest", "QoS 1 from 100 and 1,000 sensors to one MQTT subscriber", (*harness).ingest},
	{"qos0", "QoS 0 from sensors at 60,000/s", (*harness).qos0},
	{"overload", "twice what can be done: QoS 0, QoS 1 and strangers that connect", (*harness).overload},
	{"fanout", "one publish to 10,000 awake sensors", (*harness).fanout},
	{"mqtt", "MQTT to MQTT, beside others", (*harness).mqtt},
	{"growth", "what a message and a session cost from 1,000 to 1,000,000 sessions", (*harness).growth},
	{"idle", "memory of connected MQTT clients, beside others", (*harness).idleClients},
	{"retained", "a wildcard subscription over 100,000 retained messages, beside others", (*harness).retained},
	{"stalled", "what one subscriber that stops reading does to others", (*harness).stalled},
	{"dtls", "handshakes beside openssl s_server, memory of associations, and QoS 1 over DTLS beside plain UDP", (*harness).dtls},
}

// Help is an indented line for each row.
func Help() string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "    %-9s %s\n", r.name, r.help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// Check finds what cannot be.
func (o *Options) Check() error {
	var errs []error
	for _, name := range o.Rows {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			errs = append(errs, fmt.Errorf("there is no row %q; the rows are\n%s", name, Help()))
		}
	}
	for _, d := range o.Durabilities {
		if d != None && d != Always {
			errs = append(errs, fmt.Errorf("durability is %q; it must be %s or %s", d, None, Always))
		}
	}
	if !(o.Scale > 0 && o.Scale <= 10) {
		errs = append(errs, fmt.Errorf("scale is %v; it must be above 0, and 10 at most", o.Scale))
	}
	if o.For <= 0 || o.For > time.Hour {
		errs = append(errs, fmt.Errorf("each figure is to take %v; it must be above 0 s, and 1h at most", o.For))
	}
	return errors.Join(errs...)
}

// Run measures. What is being done goes to tell, line by line. An error says
// that a row has failed; figures are those of the others, and what it had.
func Run(ctx context.Context, o Options, tell io.Writer) (*Table, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(o.Durabilities) == 0 {
		o.Durabilities = []Durability{None, Always}
	}
	h := &harness{Options: o, ctx: ctx, tell: tell, table: newTable(o)}
	var errs []error
	for _, r := range rows {
		if len(o.Rows) > 0 && !slices.Contains(o.Rows, r.name) {
			continue
		}
		if ctx.Err() != nil {
			return h.table, errors.Join(append(errs, context.Cause(ctx))...)
		}
		h.row = r.name
		began, spent := time.Now(), ownCPU()
		fmt.Fprintf(tell, "%s: %s\n", r.name, r.help)
		if err := r.measure(h); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
		}
		fmt.Fprintf(tell, "%s: took %v, and the load itself %v of CPU time\n", r.name,
			time.Since(began).Round(time.Second/10), (ownCPU() - spent).Round(time.Second/10))
	}
	return h.table, errors.Join(errs...)
}

// A harness is a run of rows.
type harness struct {
	Options
	ctx   context.Context
	tell  io.Writer
	table *Table
	row   string // which is being measured
}

// size is n at the scale of this run.
func (h *harness) size(n int) int { return max(1, int(math.Round(float64(n)*h.Scale))) }

// profile takes a CPU profile of b for so long, while something else goes on, if
// one is asked for. The function that it returns waits for it.
func (h *harness) profile(b *broker, what string, d time.Duration) (wait func() error) {
	if h.Profiles == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			f, err := os.Create(filepath.Join(h.Profiles, h.row+"-"+what+".pprof"))
			if err != nil {
				return err
			}
			err = b.ask(h.ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds()))), f)
			return errors.Join(err, f.Close())
		}()
	}()
	return func() error { return <-done }
}
