package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dormouse/bridge"
	"dormouse/cmd/dormouse/admin"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/auth"
	"dormouse/core/mqtt"
	"dormouse/mqttsn/clock"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/udp"
)

// A server is one broker with its edges: all that "dormouse serve" runs.
type server struct {
	config       *config.Config // as of the last reload, with mu locked
	load         func() (*config.Config, error)
	mu           sync.Mutex // one reload at a time
	log          zerolog.Logger
	broker       *core.Broker
	auth         *auth.Authenticator
	access       access
	mqtt         *mqtt.Server
	fronts       []*front
	secured      []*secured     // of the listeners with DTLS
	admin        *admin.Server  // nil: none
	certificates []*certificate // of the listeners with TLS
	phase        atomic.Int32   // see there
	memory       *memory
	kept         *keeping

	opened  []string // what is open where, for people
	running sync.WaitGroup
	stop    context.CancelFunc // ends what start began, but for MQTT clients
}

// A front is one MQTT-SN listener and the gateway behind it.
type front struct {
	*gateway.Gateway
	conn     *udp.Conn
	secured  *secured // nil: plain
	listener string   // its name
	lost     losses   // as the log knows
}

// openGC is by how many percent memory may grow before it is looked through for
// garbage, while what was kept is taken up. Hardly any of that is garbage, and
// by the default a third of the time would go into looking.
const openGC = 400

// open wires what c describes and opens its listeners; nobody is served yet.
// On error nothing stays open.
func open(c *config.Config, log zerolog.Logger) (*server, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(openGC))
	known, err := auth.New(authOptions(c))
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	certificates, err := readCertificates(c)
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	secured, err := readSecured(c)
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	kept, err := openStore(c, log)
	if err != nil {
		return nil, err
	}
	co, mo := coreOptions(c, log), mqttOptions(c, log)
	if kept.Store != nil {
		co.Store = kept
	}
	s := &server{
		config:       c,
		load:         func() (*config.Config, error) { return c, nil },
		log:          log,
		auth:         known,
		certificates: certificates,
		secured:      secured,
		stop:         func() {},
		kept:         kept,
	}
	known.Tell = func(l auth.Locked) {
		log.Warn().Str("event", "locked_out").Stringer("who", l).Msg("too many wrong passwords; see auth.lockout")
	}
	known.Complain = func(err error) {
		log.Error().Err(err).Str("event", "provider_failed").Msg("clients may be turned away that would be known; see auth.providers")
	}
	s.access.goBy(c)
	co.WritesAhead = s.writesAhead
	co.Authorize, co.Named, mo.Authenticate, mo.Stands = s.access.allows, s.access.named, known.Authenticate, known.Stands
	s.broker = core.New(co)
	if err := kept.restore(s.broker); err != nil {
		return nil, errors.Join(err, s.broker.Close())
	}
	s.memory = newMemory(c, memoryBound(os.DirFS("/")), s.broker, log)
	s.warnOfFiles()
	s.mqtt = mqtt.New(s.broker, mo)
	sensors := bridge.New(s.broker, bridgeConfig(c))
	for i := range c.Listeners {
		l := &c.Listeners[i]
		var err error
		switch l.Type {
		case "mqttsn-udp", "mqttsn-dtls":
			err = s.openMQTTSN(c, l, sensors)
		default:
			err = s.openMQTT(l)
		}
		if err != nil {
			s.close(context.Background())
			return nil, cannotOpen(l, err)
		}
	}
	if err := kept.forgetNotes(); err != nil {
		s.close(context.Background())
		return nil, err
	}
	s.addSys()
	if err := s.openAdmin(c); err != nil {
		s.close(context.Background())
		return nil, err
	}
	return s, nil
}

func (s *server) gateways() (gs []*gateway.Gateway) {
	for _, f := range s.fronts {
		gs = append(gs, f.Gateway)
	}
	return gs
}

func (s *server) conns() (cs []*udp.Conn) {
	for _, f := range s.fronts {
		cs = append(cs, f.conn)
	}
	return cs
}

func (s *server) dtls() (ls []*dtls.Listener) {
	for _, d := range s.secured {
		ls = append(ls, d.Listener)
	}
	return ls
}

func (s *server) openMQTT(l *config.Listener) error {
	m := mqtt.ListenerConfig{Name: l.Name, Address: l.Address.String()}
	for _, c := range s.certificates {
		if c.listener == l {
			m.TLS = c.current.Load
		}
	}
	if l.ProxyProtocol.Enabled {
		m.Proxies = config.Prefixes(l.ProxyProtocol.Trusted)
	}
	if l.Web() {
		m.WebSocket = &mqtt.WebSocket{Path: l.Path, AllowedOrigins: l.AllowedOrigins}
	}
	addr, err := s.mqtt.Listen(m)
	if err != nil {
		return err
	}
	says := fmt.Sprintf("MQTT on %v/tcp", addr)
	switch {
	case l.Web():
		says = fmt.Sprintf("MQTT over WebSocket on %s://%v%s", l.Type, addr, l.Path)
	case l.Secured():
		says = fmt.Sprintf("MQTT over TLS on %v/tcp", addr)
	}
	s.opened = append(s.opened, says)
	return nil
}

func (s *server) openMQTTSN(c *config.Config, l *config.Listener, sensors *bridge.Bridge) error {
	conn, err := udp.Listen(udpConfig(c, l))
	if err != nil {
		return err
	}
	f := &front{conn: conn, listener: l.Name}
	says := fmt.Sprintf("MQTT-SN on %v/udp", conn.Addr())
	var under transport.Transport = conn
	if l.Proves() {
		if f.secured, err = s.secure(c, l, conn); err != nil {
			conn.Close()
			return err
		}
		under = f.secured
		says = fmt.Sprintf("MQTT-SN over DTLS on %v/udp", conn.Addr())
	}
	g := gateway.New(gatewayConfig(c, l, s.log), under, sensors, clock.Now())
	if n := g.TakeUp(clock.Now()); n > 0 {
		s.log.Info().Str("event", "taken_up").Str("listener", l.Name).Int("clients", n).Msg("sensors go on as if nothing had happened")
	}
	f.Gateway = g
	s.fronts = append(s.fronts, f)
	s.warnOfBuffer(f, l)
	s.opened = append(s.opened, says)
	return nil
}

// start begins to serve. The channel yields an error if a listener or the store
// fails.
func (s *server) start() (failed <-chan error) {
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	if s.admin != nil {
		s.admin.Serve()
	}
	s.kept.announce()
	failures := make(chan error, len(s.fronts)+1)
	s.memory.limitMemory()
	s.running.Go(func() { s.memory.watch(ctx) })
	s.running.Go(func() { s.tick(ctx) })
	s.running.Go(func() { s.kept.watch(ctx, failures) })
	s.running.Go(func() { s.watchLosses(ctx) })
	s.running.Go(func() { s.newStrain().watch(ctx) })
	s.running.Go(func() { s.mqtt.Serve(ctx) })
	for _, f := range s.fronts {
		s.running.Go(func() {
			if err := f.Run(ctx); err != nil {
				failures <- err
			}
		})
		f.SetReady(true)
	}
	s.phase.Store(serving)
	s.log.Info().Str("event", "started").Strs("listeners", s.opened).Msg("serving")
	return failures
}

// coreTick is how often core is given its time.
const coreTick = 250 * time.Millisecond

// tick gives core its time.
func (s *server) tick(ctx context.Context) {
	t := time.NewTicker(coreTick)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.broker.Tick(now)
		case <-ctx.Done():
			return
		}
	}
}

// drain takes leave of everyone and closes everything, in this order: sensors
// without a kept session, which would otherwise go on sending; MQTT clients;
// then the listeners, so that sleepers and kept sessions notice nothing; core,
// when nobody can ask it anything. Operators, who are told first, see all of
// it. The error says that ctx ended first, or that something could not be
// closed.
func (s *server) drain(ctx context.Context) error {
	s.phase.Store(draining)
	s.log.Info().Str("event", "draining").Msg("taking leave of clients")
	var errs []error
	for _, f := range s.fronts {
		f.SetReady(false)
		errs = append(errs, f.Drain(ctx))
	}
	return errors.Join(append(errs, s.close(ctx))...)
}

func (s *server) close(ctx context.Context) error {
	s.auth.Close()
	errs := []error{s.mqtt.Close(ctx)}
	s.stop()
	s.running.Wait()
	for _, f := range s.fronts {
		errs = append(errs, f.conn.Close())
	}
	errs = append(errs, s.broker.Close())
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	return errors.Join(errs...)
}
