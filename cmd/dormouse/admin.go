package main

import (
	"errors"
	"fmt"
	"net"

	"dormouse/cmd/dormouse/admin"
	"dormouse/cmd/dormouse/config"
	"dormouse/core"
	"dormouse/core/mqtt"
	"dormouse/mqttsn/gateway"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/udp"
)

// A phase is how far a server has come.
type phase = int32

const (
	starting phase = iota
	serving
	draining
)

// openAdmin opens where operators look and act, if there is to be such a place.
func (s *server) openAdmin(c *config.Config) error {
	if !c.Admin.Enabled {
		return nil
	}
	http, err := net.Listen("tcp", c.Admin.Listen.String())
	if err != nil {
		return cannotOpenAddress(c.Admin.Listen.String()+"/tcp", "admin.listen", err)
	}
	says := fmt.Sprintf("Admin on http://%v", http.Addr())
	socket, err := s.openSocket(admin.SocketPath(c.Admin.UnixSocket), c.Admin.UnixSocket != "")
	if err != nil {
		http.Close()
		return err
	}
	if socket != nil {
		says += fmt.Sprintf(" and %v", socket.Addr())
	}
	gateways := make(map[string]*gateway.Gateway)
	for _, f := range s.fronts {
		gateways[f.listener] = f.Gateway
	}
	s.admin = admin.New(admin.Options{
		Log:      s.log.With().Str("component", "admin").Logger(),
		Version:  release,
		Broker:   s.broker,
		Gateways: gateways,
		Figures:  s.figures(),
		Times:    []admin.Times{s.kept.syncs},
		Checks:   s.checks,
		Backup:   s.kept.backup(),
		Reload:   s.reload,
	}, http, socket)
	s.opened = append(s.opened, says)
	return nil
}

// openSocket opens the socket. One that the operator has named must open; the
// default may be another server's, and then there is none.
func (s *server) openSocket(path string, named bool) (net.Listener, error) {
	socket, err := admin.Listen(path)
	switch {
	case err == nil:
		return socket, nil
	case !named:
		s.log.Warn().Err(err).Str("event", "admin_socket_unavailable").Str("socket", path).
			Msg(`"dormouse clients", "kick" and "retained" do not reach this server; give it a socket with admin.unix_socket`)
		return nil, nil
	case errors.Is(err, admin.ErrSocketTaken):
		err = fmt.Errorf("%s is in use by another server; stop that, or choose another path with admin.unix_socket", path)
	default:
		err = fmt.Errorf("%s cannot be opened: %w; choose another path with admin.unix_socket", path, err)
	}
	return nil, &failure{statusBind, err}
}

// figures are those of all that s is made of.
func (s *server) figures() []admin.Figures {
	return []admin.Figures{
		func(yield func(name, help, label string, value uint64)) { core.Each(s.broker, yield) },
		func(yield func(name, help, label string, value uint64)) { mqtt.Each(s.mqtt, yield) },
		func(yield func(name, help, label string, value uint64)) { gateway.Each(s.gateways(), yield) },
		func(yield func(name, help, label string, value uint64)) { udp.Each(s.conns(), yield) },
		func(yield func(name, help, label string, value uint64)) { dtls.Each(s.dtls(), yield) },
		s.auth.Each,
		s.kept.each,
	}
}

// checks are what must be well before clients are sent here.
func (s *server) checks() []admin.Check {
	listeners, leave, memory := admin.Check{Name: "listeners"}, admin.Check{Name: "drain"}, admin.Check{Name: "memory"}
	switch s.phase.Load() {
	case starting:
		listeners.Problem = "The listeners are not served yet."
	case draining:
		leave.Problem = "The server takes leave of its clients."
	}
	switch s.broker.Pressure() {
	case core.Soft:
		memory.Problem = "Memory is short: nobody new is let in. See limits.memory_soft."
	case core.Hard:
		memory.Problem = "Memory is very short: no messages are taken. See limits.memory_hard."
	}
	load := admin.Check{Name: "load"}
	switch s.broker.Strain() {
	case core.Late:
		load.Problem = "Sensors send more than can be looked at: nobody new is let in."
	case core.Behind:
		load.Problem = "The disk does not keep up: nobody new is let in, and QoS 0 is dropped."
	}
	return []admin.Check{listeners, leave, memory, load, s.kept.check()}
}
