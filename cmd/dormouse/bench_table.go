package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dormouse/sim/bench"
	"dormouse/sim/bench/echo"
)

// A benchTableCmd measures this machine.
type benchTableCmd struct {
	Rows       []string           `arg:"" optional:"" name:"row" help:"Rows to measure; by default all of them."`
	Scale      float64            `default:"1" help:"Size of each row, of its full size: 1,000,000 sleepers and so on."`
	For        period             `default:"4s" help:"How long each thing is done that could be done for ever."`
	Durability []bench.Durability `default:"none,always" help:"What to measure sensors with: none, always."`
	JSON       string             `name:"json" placeholder:"FILE" help:"Write the table as JSON, too; - is standard output, in place of the table."`
	Dir        string             `placeholder:"DIR" help:"Where brokers keep what is to be on disk. By default the system's place for temporary files."`
	Profiles   string             `placeholder:"DIR" help:"Write a CPU profile of each row."`
	Set        []string           `sep:"none" placeholder:"KEY=VALUE" help:"Setting of the Dormouse that is measured."`
	Mochi      string             `placeholder:"PROGRAM" help:"Bare mochi, to measure beside. By default bare-mochi where this program is, if it is there."`
	Mosquitto  string             `placeholder:"PROGRAM" help:"Mosquitto, to measure beside. By default the one that is installed, if it is."`
	OpenSSL    string             `name:"openssl" placeholder:"PROGRAM" help:"OpenSSL, to measure handshakes beside. By default the one that is installed, if it is."`
}

// Help lists the rows.
func (c *benchTableCmd) Help() string {
	return "Each row starts brokers of its own on loopback and puts them under load; what that takes of the machine " +
		"they do not have. All rows take ten minutes.\n\nRows:\n\n" + bench.Help()
}

// Run prints the table, also when a row has failed.
func (c *benchTableCmd) Run(s *streams) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{
		Rows: c.Rows, Scale: c.Scale, For: time.Duration(c.For), Durabilities: c.Durability,
		Dir: c.Dir, Profiles: c.Profiles, Set: c.Set,
		Dormouse: self,
		// Debian has its brokers where only root looks.
		Mochi:     program(c.Mochi, filepath.Join(filepath.Dir(self), "bare-mochi")),
		Mosquitto: program(c.Mosquitto, "mosquitto", "/usr/sbin/mosquitto"),
		OpenSSL:   program(c.OpenSSL, "openssl"),
	}
	if err := o.Check(); err != nil {
		return &failure{statusUsage, err}
	}
	if c.JSON != "" && c.JSON != "-" {
		if err := writable(c.JSON); err != nil {
			return usage("%s cannot be written: %w", c.JSON, err)
		}
	}
	ctx, stop := interruptible()
	defer stop()
	t, failed := bench.Run(ctx, o, s.err)
	if c.JSON != "-" {
		if err := t.WriteText(s.out); err != nil {
			return err
		}
	}
	if err := writeResult(s, c.JSON, func(w io.Writer) error { return t.WriteJSON(w) }); err != nil {
		return err
	}
	return failed
}

// program is the one that was named, or the first of others that is there.
func program(named string, others ...string) string {
	if named != "" {
		return named
	}
	for _, name := range others {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// A benchEchoCmd is what the machine's UDP can do at most.
type benchEchoCmd struct {
	Address string `short:"h" default:"127.0.0.1:0" help:"Address of this machine's own, and port; 0 is a free one."`
}

// Run echoes until it is interrupted.
func (c *benchEchoCmd) Run(s *streams) error {
	host, _, err := net.SplitHostPort(c.Address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return usage("-h is %q; it must be an address of loopback and a port, such as 127.0.0.1:0: who sends from a false address would have others answered", strings.TrimSpace(c.Address))
	}
	ctx, stop := interruptible()
	defer stop()
	return echo.Serve(ctx, c.Address, func(a net.Addr) { fmt.Fprintf(s.out, "Echo on %v/udp\n", a) })
}
