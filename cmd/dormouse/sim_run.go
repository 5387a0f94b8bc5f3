package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dormouse/core/store"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/report"
	"dormouse/sim/udp"
	"dormouse/sim/view"
)

// A site is the flags that say where the gateway of a run is.
type site struct {
	Host     string       `short:"h" placeholder:"HOST" help:"Gateway, any of MQTT-SN 1.2: the run is over UDP, by the wall clock."`
	Port     uint16       `short:"p" default:"1884" help:"Its port."`
	DTLSPort uint16       `name:"dtls-port" default:"8883" placeholder:"PORT" help:"Its port of devices that speak DTLS."`
	Serve    bool         `help:"Start \"dormouse serve\" on loopback and run by the wall clock against it. It is restarted where a scenario says so."`
	Set      []string     `sep:"none" placeholder:"KEY=VALUE" help:"Set a key of the configuration of the Dormouse that is run against. Repeatable."`
	MQTT     string       `name:"mqtt" placeholder:"URL" help:"MQTT server behind the gateway. By default mqtt://HOST:1883."`
	Username *string      `short:"u" placeholder:"NAME" help:"User name there."`
	Password *string      `short:"P" placeholder:"PASSWORD" help:"Password there."`
	CAFile   string       `name:"cafile" placeholder:"FILE" help:"Authorities to believe there rather than those of the system, in PEM."`
	Cert     string       `name:"cert" placeholder:"FILE" help:"Certificate to show there, in PEM."`
	Key      string       `name:"key" placeholder:"FILE" help:"Its private key, in PEM."`
	Insecure bool         `help:"Do not check whose certificate it is that the MQTT server shows."`
	Sources  netip.Prefix `placeholder:"PREFIX" help:"Networks of IPv6: where the devices' own addresses are, such as fd00:d0::/64. It needs \"ip -6 route add local PREFIX dev lo\"."`
	Patience period       `default:"20s" help:"How long to wait for the first word from the gateway."`
	Owned    bool         `name:"i-own-this-target" help:"Run against an address that is neither of this machine nor private. Whoever is there must have agreed."`
}

// defaultDTLSPort is where MQTT-SN over DTLS is, if nobody says otherwise.
const defaultDTLSPort = 8883

// virtual is whether time is.
func (w *site) virtual() bool { return w.Host == "" && !w.Serve }

// whom are the flags of an MQTT client beside the fleet.
func (w *site) whom() *whom {
	return &whom{
		MQTT: true, KeepAlive: span(30 * time.Second), Username: w.Username, Password: w.Password,
		trust: trust{URL: w.MQTT, CAFile: w.CAFile, Cert: w.Cert, Key: w.Key, Insecure: w.Insecure, urlFlag: "--mqtt"},
	}
}

// besides are those of one beside a server of our own.
func (w *site) besides(own *ownServer) *whom {
	c := w.whom()
	c.Host, c.Port = own.mqtt.Addr().String(), own.mqtt.Port()
	return c
}

// check finds flags that do not go together.
func (w *site) check() error {
	switch {
	case w.Host != "" && w.Serve:
		return usage("-h names a gateway, and --serve starts one; give one of them")
	case w.Serve && w.MQTT != "":
		return usage("--mqtt does not go with --serve, which knows where it is")
	case w.Host != "" && len(w.Set) > 0:
		return usage("--set is for a Dormouse that is started here; it does not go with -h")
	case w.virtual() && (w.MQTT != "" || w.CAFile != "" || w.Cert != "" || w.Sources.IsValid()):
		return usage("--mqtt, --cafile, --cert and --sources are for a run against a gateway; name it with -h")
	}
	c := w.whom()
	if w.MQTT == "" {
		c.Host = w.Host
	}
	return c.check()
}

type simRunCmd struct {
	variant
	site
	outputs
	Config *string `short:"c" placeholder:"FILE" help:"Configuration of the Dormouse that is run against."`
	Speed  float64 `placeholder:"X" help:"Have virtual time go at most so many times as fast as the clock."`
}

// Run runs the scenario.
func (c *simRunCmd) Run(s *streams) error {
	if c.Speed < 0 || c.Speed > 0 && !c.virtual() {
		return usage("--speed is %v; it must be above 0, and is for virtual time", c.Speed)
	}
	sc, o, err := c.load()
	if err != nil {
		return err
	}
	plan, err := sc.Plan(o)
	if err != nil {
		return wrongScenario(err)
	}
	r := trial{
		plan: plan, change: sc.Set, command: c.line(plan),
		settings: settings{c.Config, c.Set}, site: &c.site, outputs: &c.outputs, speed: c.Speed,
	}
	return r.run(s)
}

// line is the command line that repeats the run.
func (c *simRunCmd) line(p *sim.Plan) string {
	line := []string{"dormouse sim run", quoted(c.Scenario), "--seed", strconv.FormatUint(p.Seed, 10)}
	add := func(given bool, words ...string) {
		if given {
			line = append(line, words...)
		}
	}
	add(c.Nodes > 0, "--nodes", strconv.Itoa(c.Nodes))
	add(c.Duration > 0, "--duration", briefly(time.Duration(c.Duration)))
	for _, w := range c.With {
		add(true, "--with", quoted(w))
	}
	if c.Config != nil {
		add(true, "-c", quoted(*c.Config))
	}
	return strings.Join(line, " ") + c.where()
}

// where is the part of a command line that says what is run against. It has no
// password.
func (w *site) where() (line string) {
	if w.Host != "" {
		line += fmt.Sprintf(" -h %s -p %d", w.Host, w.Port)
	}
	if w.Host != "" && w.DTLSPort != defaultDTLSPort {
		line += fmt.Sprintf(" --dtls-port %d", w.DTLSPort)
	}
	if w.Serve {
		line += " --serve"
	}
	if w.MQTT != "" {
		line += " --mqtt " + quoted(w.MQTT)
	}
	if w.Username != nil {
		line += " -u " + quoted(*w.Username)
	}
	for _, set := range w.Set {
		line += " --set " + quoted(set)
	}
	return line
}

// A trial is a plan and all that has to do with carrying it out.
type trial struct {
	plan    *sim.Plan
	change  func(at time.Duration, group string, settings ...string) (*sim.Change, error) // nil: it cannot be changed
	command string
	settings
	*site
	*outputs
	speed float64

	target  string
	own     *ownServer // nil: none
	restart func(ctx context.Context, down time.Duration) error
}

// run carries it out. SIGINT and SIGTERM end it early, with a report.
func (r *trial) run(s *streams) (err error) {
	if err := r.site.check(); err != nil {
		return err
	}
	against, err := r.outputs.check()
	if err != nil {
		return err
	}
	signalled, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(signalled, restore) // a second one ends us at once
	ctx, quit := context.WithCancelCause(signalled)
	defer quit(nil)

	before := ourToll()
	carry, finish, err := r.prepare(ctx, quit)
	if err != nil {
		return err
	}
	outcome, err := r.watch(ctx, s, quit, carry)
	late := finish()
	switch {
	case errors.Is(err, drive.ErrGatewayGone): // there is something to tell
		late, err = &failure{statusUnreachable, err}, nil
	case errors.Is(err, drive.ErrNoGateway):
		return &failure{statusUnreachable, err}
	case errors.Is(err, udp.ErrNoAddresses):
		return &failure{statusUsage, fmt.Errorf("%w; name the prefix with --sources", err)}
	case err != nil:
		return err
	}
	result := report.New(outcome)
	result.Command, result.Target, result.Version = r.command, r.target, release
	result.Used = r.tolls(before)
	if err := errors.Join(r.write(s, result, against), late); err != nil {
		return err
	}
	if !result.Passed {
		return &failure{statusFailed, nil} // it is told in full
	}
	return nil
}

// tolls is what the run has taken, since we had taken that much.
func (r *trial) tolls(before toll) []report.Use {
	now := ourToll()
	now.cpu -= before.cpu
	switch {
	case r.virtual():
		return []report.Use{now.as("simulator and gateway")}
	case r.own != nil:
		return []report.Use{now.as("simulator"), r.own.toll.as("gateway")}
	}
	return []report.Use{now.as("simulator")}
}

// A carrier carries a plan out.
type carrier func(context.Context, drive.Options) (*drive.Outcome, error)

// prepare makes what the plan is run against, which calls quit if it cannot go
// on; finish ends it.
func (r *trial) prepare(ctx context.Context, quit context.CancelCauseFunc) (carry carrier, finish func() error, err error) {
	if !r.virtual() {
		return r.prepareWall(ctx, quit)
	}
	cfg, err := r.settings.load()
	if err != nil {
		return nil, nil, err
	}
	r.target = "a Dormouse in this process, in virtual time"
	var s store.Store = store.Volatile{}
	if outlives(r.plan) {
		s = store.NewMemory()
	}
	keys, err := keysOf(r.plan, true)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWorld(cfg, r.plan.Seed, drive.Start, s, keys)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, o drive.Options) (*drive.Outcome, error) {
		o.Meet = w.meet
		return drive.Virtual(ctx, r.plan, w, o)
	}, w.Close, nil
}

// outlives reports whether p has the gateway restart with all that it kept.
func outlives(p *sim.Plan) bool {
	return !p.Forgets && slices.ContainsFunc(p.Events, func(e sim.Event) bool { return e.Kind == sim.Restart })
}

func (r *trial) prepareWall(ctx context.Context, quit context.CancelCauseFunc) (carry carrier, finish func() error, err error) {
	var open []func() error // what is to be closed, in that order backwards
	end := func() (err error) {
		for i := range open {
			if e := open[len(open)-1-i](); err == nil {
				err = e
			}
		}
		return err
	}
	defer func() {
		if err != nil {
			end() // why it could not begin says more
		}
	}()
	keys, err := keysOf(r.plan, r.Serve)
	if err != nil {
		return nil, nil, err
	}
	var target, secured netip.AddrPort
	beside := r.whom()
	if r.Serve {
		own, err := startOwnServer(ctx, r.settings, r.forwarded(), keys, quit)
		if err != nil {
			return nil, nil, err
		}
		own.forgets = r.plan.Forgets
		r.own = own
		open = append(open, own.stop)
		target, secured, beside = own.sn, own.sns, r.besides(own)
		r.target = fmt.Sprintf("dormouse serve on %v", target)
	} else {
		if target, err = r.resolve(ctx); err != nil {
			return nil, nil, err
		}
		secured = netip.AddrPortFrom(target.Addr(), r.DTLSPort)
		if beside.URL == "" {
			beside.Host = r.Host
		}
		r.target = fmt.Sprintf("the gateway on %v", target)
	}
	n, err := udp.Open(udp.Config{Target: target, Secured: secured, Anywhere: r.Owned, Prefix: r.Sources})
	if errors.Is(err, udp.ErrPublic) {
		return nil, nil, usage("%w; if it is yours, add --i-own-this-target", err)
	}
	if err != nil {
		return nil, nil, &failure{statusUsage, err}
	}
	open = append(open, n.Close)
	ob, err := newObserver(context.WithoutCancel(ctx), beside)
	if err != nil {
		return nil, nil, err
	}
	open = append(open, ob.Close)
	if r.own != nil {
		r.restart = func(ctx context.Context, down time.Duration) error {
			before := ob.times()
			if err := r.own.restart(ctx, down); err != nil {
				return err
			}
			return ob.returned(ctx, before)
		}
	}
	return func(ctx context.Context, o drive.Options) (*drive.Outcome, error) {
		o.Prove = keys.prove
		return drive.Wall(ctx, r.plan, n, ob, o)
	}, end, nil
}

// forwarded reports whether there are devices behind a forwarder.
func (r *trial) forwarded() bool {
	return slices.ContainsFunc(r.plan.Groups, func(g *sim.Group) bool { return g.Address == sim.Forwarder })
}

// resolve returns the gateway's address.
func (r *trial) resolve(ctx context.Context) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.Host)
	if err != nil {
		return netip.AddrPort{}, &failure{statusUnreachable, err}
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), r.Port), nil
}

var errEnough = errors.New("ended by a key")

// watch carries the plan out, and shows how that goes.
func (r *trial) watch(ctx context.Context, s *streams, quit context.CancelCauseFunc, carry carrier) (outcome *drive.Outcome, err error) {
	last := new(latest)
	stop, err := r.serveMetrics(last)
	if err != nil {
		return nil, err
	}
	defer stop()
	o := drive.Options{Restart: r.restart, Patience: time.Duration(r.Patience), Speed: r.speed}
	switch {
	case !r.virtual():
		o.Every = time.Second
	case r.speed > 0:
		o.Every = max(time.Second, time.Duration(r.speed*float64(time.Second)))
	}
	if r.change != nil {
		c := &control{change: r.change, latest: last, changes: make(chan drive.Request)}
		path := controlPath(r.Control)
		stop, err := c.serve(path)
		switch {
		case err == nil:
			defer stop()
			o.Changes = c.changes
		case r.Control != "":
			return nil, &failure{statusBind, fmt.Errorf("--control: %s cannot be opened: %w", path, err)}
		default: // it is another run's
			fmt.Fprintf(s.err, "dormouse sim run: \"dormouse sim set\" does not reach this run, as %s cannot be opened: %v; give it a socket of its own with --control\n", path, err)
		}
	}
	keys := view.Keys{Quit: func() { quit(errEnough) }}
	if r.virtual() {
		pause := make(chan bool, 1)
		o.Pause = pause
		keys.Pause = func(on bool) {
			select {
			case <-pause: // nobody has taken the last wish
			default:
			}
			pause <- on
		}
	}
	v := r.view(s, &view.About{Plan: r.plan, Target: r.target, Virtual: r.virtual()}, keys)
	o.Sample = func(stats *sim.Stats) {
		last.Store(stats)
		v.Show(stats, time.Now())
	}
	defer func() { // in a panic, too: it is to be read on a terminal as it was
		if late := v.Close(); err == nil {
			err = late
		}
	}()
	return carry(ctx, o)
}
