// Package admin is where operators look and act: figures and health over HTTP
// on loopback, and what they ask for and do over a unix socket, with the
// [Client] for that.
package admin

import (
	"context"
	"errors"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"dormouse/core"
	"dormouse/mqttsn/gateway"
)

// Options are what a Server shows and acts upon.
type Options struct {
	Log      zerolog.Logger
	Version  string
	Broker   *core.Broker
	Gateways map[string]*gateway.Gateway // by listener
	Figures  []Figures
	Times    []Times
	Checks   func() []Check
	Backup   func(io.Writer) error // nil: nothing is on disk

	// Reload reads files again and returns the settings that a restart would
	// change. The error says why everything stays as it was.
	Reload func() (restart []string, err error)
}

// A Server answers operators. Use [New].
type Server struct {
	o       Options
	servers []*served
	running sync.WaitGroup
}

// A served is an address with what is behind it.
type served struct {
	*http.Server
	net.Listener
}

// Bounds on what operators' programs can make the server do at a time.
const (
	maxHTTP    = 64 // connections
	maxSocket  = 16
	maxHeader  = 8 << 10 // octets, over HTTP
	maxName    = 1 << 16 // octets of a client id or a topic
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	answerTime = 30 * time.Second // over HTTP; the socket is its owner's alone
)

// New returns a server that answers on http, and on the socket unless that is
// nil. It closes them.
func New(o Options, http, socket net.Listener) *Server {
	s := &Server{o: o}
	public := s.newServer(s.public(), maxHeader)
	public.ReadTimeout, public.WriteTimeout = answerTime, answerTime
	s.servers = append(s.servers, &served{public, netutil.LimitListener(http, maxHTTP)})
	if socket != nil {
		s.servers = append(s.servers, &served{s.newServer(s.private(), maxHeader+3*maxName), netutil.LimitListener(socket, maxSocket)})
	}
	return s
}

// newServer returns one that takes so many octets of a header, in which octets
// of the query may be written as three.
func (s *Server) newServer(h http.Handler, header int) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	hs := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    header,
		ErrorLog:          stdlog.New(s.o.Log, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	hs.RegisterOnShutdown(cancel)
	return hs
}

// Serve begins to answer, until Close.
func (s *Server) Serve() {
	for _, each := range s.servers {
		s.running.Go(func() {
			err := each.Serve(each.Listener)
			if !errors.Is(err, http.ErrServerClosed) {
				s.o.Log.Error().Err(err).Str("event", "admin_failed").Msg("operators are not answered any more")
			}
		})
	}
}

// Close stops answering and removes the socket. What is being answered has a
// second to end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, each := range s.servers {
		if err := each.Shutdown(ctx); err != nil {
			errs = append(errs, each.Server.Close())
		}
		if err := each.Listener.Close(); !errors.Is(err, net.ErrClosed) { // nobody has served on it
			errs = append(errs, err)
		}
	}
	s.running.Wait()
	return errors.Join(errs...)
}
