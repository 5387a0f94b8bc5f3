package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dormouse/sim"
	"dormouse/sim/report"
	"dormouse/sim/view"
)

// outputs are the flags that say what is to become of a run's figures.
type outputs struct {
	Report  string `placeholder:"FILE" help:"Write a report: one HTML file that needs no network."`
	JSON    string `name:"json" placeholder:"FILE" help:"Write the result as JSON; - is standard output."`
	Against string `placeholder:"FILE" help:"Compare with the result of an older run, as --json writes it."`
	Metrics string `placeholder:"ADDRESS" help:"Serve Prometheus metrics while it runs, on loopback, such as 127.0.0.1:9108."`
	Control string `placeholder:"PATH" help:"Socket on which \"dormouse sim set\" finds this run."`
	Plain   bool   `help:"Print plain lines rather than fill the terminal."`
}

// check finds out early what would go wrong at the end, and returns the older
// result, if there is one.
func (o *outputs) check() (against *report.Result, err error) {
	for _, name := range []string{o.Report, o.JSON} {
		if name == "" || name == "-" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(name)); err != nil || !info.IsDir() {
			return nil, usage("%s cannot be written: there is no folder %s", name, filepath.Dir(name))
		}
		if err := writable(name); err != nil {
			return nil, usage("%s cannot be written: %w", name, err)
		}
	}
	if o.Metrics != "" {
		at, err := netip.ParseAddrPort(o.Metrics)
		if err != nil || !at.Addr().IsLoopback() {
			return nil, usage("--metrics is %q; it must be an address of this machine's own and a port, such as 127.0.0.1:9108", o.Metrics)
		}
	}
	if o.Against != "" {
		return readResult(o.Against)
	}
	return nil, nil
}

// writable tries whether a file can be written, and leaves it as it is. What is
// neither a file nor a folder, such as a pipe, is not touched.
func writable(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil
	}
	f, opened := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if opened != nil {
		return errors.Unwrap(opened)
	}
	if err != nil { // it was not there
		os.Remove(name)
	}
	return f.Close()
}

// write writes all that was asked for, the summary last.
func (o *outputs) write(s *streams, r, against *report.Result) error {
	err := errors.Join(
		writeResult(s, o.Report, func(w io.Writer) error { return r.HTML(w, against) }),
		writeResult(s, o.JSON, r.JSON),
	)
	if o.JSON == "-" {
		return err
	}
	err = errors.Join(err, tell(s.out, r))
	if against != nil {
		fmt.Fprintln(s.out)
		err = errors.Join(err, report.CompareText(s.out, against, r))
	}
	return err
}

// toldTraces is how many of the invariants that are broken are told with all
// that their device and the gateway said before.
const toldTraces = 3

// tell writes the summary.
func tell(out io.Writer, r *report.Result) error {
	if err := r.Text(out); err != nil {
		return err
	}
	for i, v := range r.Violations[:min(toldTraces, len(r.Violations))] {
		if i == 0 {
			fmt.Fprintf(out, "\nBroken, with what was said before (seed %d):\n", r.Seed)
		}
		fmt.Fprintf(out, "  %s at %v, %s %d: %s\n", v.Rule, time.Duration(v.At*float64(time.Second)), v.Group, v.Device, v.Text)
		for _, line := range v.Trace {
			fmt.Fprintf(out, "    %s\n", line)
		}
	}
	if more := int(r.Broken) - toldTraces; more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
	return nil
}

// writeResult writes a file, if it has a name.
func writeResult(s *streams, name string, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case "-":
		return write(s.out)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// view is how a person sees the run. keys are for a screen.
func (o *outputs) view(s *streams, about *view.About, keys view.Keys) view.View {
	out, ok := s.out.(*os.File)
	if !ok || o.Plain || o.JSON == "-" || os.Getenv("CI") != "" || !isatty.IsTerminal(out.Fd()) {
		return view.NewLines(s.err, about)
	}
	in, ok := s.in.(*os.File)
	if !ok || !isatty.IsTerminal(in.Fd()) {
		return view.NewScreen(nil, out, about, keys)
	}
	return view.NewScreen(in, out, about, keys)
}

// latest is the last sample, for who asks.
type latest struct{ atomic.Pointer[sim.Stats] }

// serveMetrics serves what l has, until the function that it returns is called.
func (o *outputs) serveMetrics(l *latest) (stop func(), err error) {
	if o.Metrics == "" {
		return func() {}, nil
	}
	metrics := prometheus.NewRegistry()
	if err := metrics.Register(report.Collector(l.Load)); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Metrics)
	if err != nil {
		return nil, &failure{statusBind, fmt.Errorf("--metrics: %w", err)}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return func() { server.Close() }, nil
}
