// Command dormouse is an MQTT broker with an MQTT-SN front end for sensors
// that sleep, and the tools that belong to it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/alecthomas/kong"
)

// release is what "dormouse version" prints.
const release = "0.1.0-dev"

// Exit statuses. They are an interface: scripts branch on them.
const (
	statusOK          = 0
	statusFailed      = 1   // it ran and failed, or found fault
	statusUsage       = 2   // wrong use, or a configuration that cannot be
	statusBind        = 3   // an address cannot be opened, or the store not by this user or not now
	statusUnreachable = 4   // the server does not answer
	statusRefused     = 5   // the server does not take our name and password
	statusTimeout     = 27  // what was waited for did not come
	statusLate        = 143 // it had to stop before everyone had taken leave
)

// cli is the command line. Its tags are the usage.
type cli struct {
	Help helpFlag `help:"Print this help."`

	Serve    serveCmd    `cmd:"" help:"Run the broker. Without a configuration it listens on loopback only."`
	Check    checkCmd    `cmd:"" help:"Check a configuration and report everything that is wrong with it."`
	Pub      pubCmd      `cmd:"" help:"Publish messages, over MQTT-SN or MQTT."`
	Sub      subCmd      `cmd:"" help:"Print messages, over MQTT-SN or MQTT."`
	Clients  clientsCmd  `cmd:"" help:"Show the clients of the server that runs here."`
	Kick     kickCmd     `cmd:"" help:"End a client's connection."`
	Retained retainedCmd `cmd:"" help:"List, print and remove retained messages."`
	Reload   reloadCmd   `cmd:"" help:"Have the server that runs here read its configuration, certificates, users and rules again."`
	ACL      aclCmd      `cmd:"" name:"acl" help:"Try the rules of who may publish and subscribe."`
	Backup   backupCmd   `cmd:"" help:"Copy what a server keeps, check a copy, and put it back."`
	Store    storeCmd    `cmd:"" help:"Look into what a stopped server keeps."`
	Passwd   passwdCmd   `cmd:"" help:"Keep a file of users and their passwords."`
	Dump     dumpCmd     `cmd:"" help:"Print the packets in hex lines or in a capture."`
	Sim      simCmd      `cmd:"" help:"Simulate a fleet of battery-powered sensors."`
	Bench    benchCmd    `cmd:"" help:"Put a gateway or broker under load, in one line."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// streams are what a command reads and writes: results go to out, everything
// else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// A failure is an error that asks for an exit status other than statusFailed.
// Without an err there is nothing more to say.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return fmt.Sprint(f.err) }
func (f *failure) Unwrap() error { return f.err }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run carries out one command line and returns its exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	parser := kong.Must(&c,
		kong.Name("dormouse"),
		kong.Description("An MQTT broker with an MQTT-SN front end for sensors that sleep."),
		kong.Writers(stdout, stderr),
		kong.NoDefaultHelp(),                    // its -h is needed for the host
		kong.WithHyphenPrefixedParameters(true), // "-q -1"
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	wantValues(parser.Model.Node)
	ctx, err := parser.Parse(args)
	switch {
	case errors.Is(err, errHelp):
		return statusOK
	case err != nil:
		command := "dormouse"
		var pe *kong.ParseError
		if errors.As(err, &pe) && pe.Context.Selected() != nil {
			command = pe.Context.Selected().FullPath()
		}
		fmt.Fprintf(stderr, "%s: %v; try \"%s --help\"\n", command, err, command)
		return statusUsage
	}
	err = ctx.Run(&streams{stdin, stdout, stderr})
	if err == nil {
		return statusOK
	}
	f := &failure{statusFailed, err}
	errors.As(err, &f)
	if f.err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", ctx.Selected().FullPath(), err)
	}
	return f.status
}

// wantValues has the flags of n and its commands complain when the line ends
// where their value should be. Since a value may begin with a hyphen, kong
// takes the end for one.
func wantValues(n *kong.Node) {
	for _, f := range n.Flags {
		if !f.IsBool() {
			f.Mapper = wantValue{f.Mapper}
		}
	}
	for _, child := range n.Children {
		wantValues(child)
	}
}

type wantValue struct{ kong.Mapper }

// Decode takes the value from the command line.
func (w wantValue) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if ctx.Scan.Peek().IsEOL() {
		return errors.New("its value is missing")
	}
	return w.Mapper.Decode(ctx, target)
}

// helpFlag is --help without a short form.
type helpFlag bool

var errHelp = errors.New("help was printed")

// BeforeReset prints the usage before missing arguments are complained about.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}

// IgnoreDefault keeps kong from resetting the flag.
func (helpFlag) IgnoreDefault() {}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(s *streams) error {
	_, err := fmt.Fprintln(s.out, "dormouse", release)
	return err
}
