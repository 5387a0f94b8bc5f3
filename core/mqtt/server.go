// Package mqtt is core's edge for MQTT 3.1, 3.1.1 and 5. mochi parses what
// clients send, behind a guard, and spells most of what they get; everything
// else is core's: sessions, subscriptions, queues, QoS, retained messages,
// wills and takeover.
//
// Of mochi's server only EstablishConnection runs, once for each connection,
// and only until CONNACK: neither its event loop, nor its listeners, nor $SYS.
// What it sees of a CONNECT is a stand-in with a client id of its own, without
// session, will or password, so that its own ideas of these never come to
// bear. From then on its decoders and encoders serve, without its server.
package mqtt

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"dormouse/core"
	"dormouse/core/auth"
)

// A Server accepts MQTT clients and attaches them to a broker. It is safe for
// concurrent use.
type Server struct {
	o      Options
	broker *core.Broker
	mochi  *mochi.Server
	names  atomic.Uint64 // of connections, for mochi

	// arrivals bounds the connections a second.
	arrivals *rate.Limiter

	carrier  carrier
	lookouts []*lookout // constant once somebody is admitted

	// incidents is the log for what a stranger can bring about.
	incidents zerolog.Logger

	mu        sync.Mutex // guards what follows
	listeners []*listener
	conns     map[*conn]struct{}
	perIP     map[netip.Addr]int
	stopped   bool

	running sync.WaitGroup // listeners and connections

	counters
}

// New returns a server for b without listeners. Its Options must be valid.
func New(b *core.Broker, o Options) *Server {
	s := &Server{
		o:         o,
		broker:    b,
		conns:     make(map[*conn]struct{}),
		perIP:     make(map[netip.Addr]int),
		arrivals:  rate.NewLimiter(rate.Limit(o.ConnectRate), max(1, int(o.ConnectRate))),
		incidents: o.Log.Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Second}),
	}
	s.mochi = newMochi(&s.o)
	return s
}

// Serve accepts clients on all listeners until ctx is done or Close is called.
// Clients stay connected until Close.
func (s *Server) Serve(ctx context.Context) {
	var serving sync.WaitGroup
	s.mu.Lock()
	if !s.stopped {
		s.lookOut()
		for _, l := range s.listeners {
			s.running.Add(1)
			serving.Go(func() {
				defer s.running.Done()
				s.accept(ctx, l)
			})
		}
	}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.stopListening)
	defer stop()
	serving.Wait()
}

// lookOut has lookouts read for clients, one for every two processors: the other
// is for what it causes. Without them each client takes a goroutine.
func (s *Server) lookOut() {
	if s.lookouts != nil {
		return
	}
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		l, err := newLookout(&s.carrier)
		if err != nil {
			s.o.Log.Warn().Err(err).Str("event", "no_lookout").Msg("each MQTT client takes a goroutine of its own, and more memory")
			return
		}
		s.lookouts = append(s.lookouts, l)
		go l.run()
	}
}

// accept accepts clients until l is closed. Other errors, such as too many
// open files, may pass.
func (s *Server) accept(ctx context.Context, l *listener) {
	const pause = 100 * time.Millisecond
	for {
		socket, err := l.Accept()
		if err == nil {
			s.admit(l, socket)
			continue
		}
		if s.isStopped() || ctx.Err() != nil {
			return
		}
		s.o.Log.Error().Err(err).Str("event", "accept_failed").Str("listener", l.name).
			Msg("cannot accept a connection; if too many files are open, raise that limit or lower limits.max_connections")
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// admit starts a connection, or closes the socket if there are too many or
// they come too fast.
func (s *Server) admit(l *listener, socket net.Conn) {
	if l.proxies != nil && !l.trusts(socket.RemoteAddr()) {
		socket.Close()
		s.refuseStranger(l, socket.RemoteAddr())
		return
	}
	c := newConn(s, l, socket)
	admitted, limit := s.enlist(c)
	if admitted {
		go c.serve()
		return
	}
	socket.Close()
	if limit != "" {
		s.logOver(c, limit)
	}
}

// logOver logs that c was one too many.
func (s *Server) logOver(c *conn, limit string) {
	s.incidents.Info().Str("event", "connection_refused").Str("listener", c.listener).
		Stringer("remote", c.remote).Str("limit", limit).Msg("connection closed at once")
}

// enlist makes c one of the connections, or says which limit is in the way, if
// any is.
func (s *Server) enlist(c *conn) (admitted bool, limit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return false, ""
	case len(s.conns) >= s.o.MaxConnections:
		s.refusals.full.Add(1)
		return false, "limits.max_connections"
	}
	if c.port.proxies == nil {
		if limit := s.count(c); limit != "" {
			return false, limit
		}
	}
	s.accepted.Add(1)
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return true, ""
}

// count has c count for where it comes from, or says which limit is in the way.
// The caller holds mu.
func (s *Server) count(c *conn) (limit string) {
	ip := addressOf(c.remote)
	switch {
	case s.perIP[ip] >= s.o.MaxConnectionsPerIP:
		s.refusals.perIP.Add(1)
		return "limits.max_connections_per_ip"
	case (c.brought || !ip.IsLoopback()) && !s.arrivals.Allow():
		s.refusals.rate.Add(1)
		return "limits.connect_rate"
	}
	c.ip = ip
	s.perIP[ip]++
	return ""
}

// addressOf is the IP address of at, without a zone. Invalid: it has none.
func addressOf(at net.Addr) netip.Addr {
	addr, _ := netip.ParseAddrPort(at.String())
	return addr.Addr().Unmap().WithZone("")
}

// forget ends what admit began.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if s.perIP[c.ip]--; s.perIP[c.ip] <= 0 {
		delete(s.perIP, c.ip)
	}
	s.mu.Unlock()
	s.running.Done()
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.Close()
	}
}

// Recheck parts with those who would not be let in any more. Their wills are
// published.
func (s *Server) Recheck() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range all {
		if !c.stands() {
			c.part(errRevoked)
		}
	}
}

// stands reports whether the client may stay, or is none yet.
func (c *conn) stands() bool {
	c.mu.Lock()
	g, proven := auth.Grant{Identity: c.id, Proof: c.proof}, c.proven
	c.mu.Unlock()
	return !proven || c.vouched() && (c.server.o.Stands == nil || c.server.o.Stands(g))
}

// Close stops listening and ends all connections: MQTT 5 clients get
// DISCONNECT 0x8B, no will is published, kept sessions stay. It returns when
// all is over; if ctx is done before, it closes what is left and returns its
// error.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	for c := range s.conns {
		c.shutDown()
	}
	s.mu.Unlock()
	s.stopListening()

	over := make(chan struct{})
	go func() {
		s.running.Wait()
		for _, l := range s.lookouts {
			l.close()
		}
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.socket.Close()
	}
	s.mu.Unlock()
	<-over
	return ctx.Err()
}
