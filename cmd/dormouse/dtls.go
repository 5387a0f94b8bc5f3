package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
	"dormouse/mqttsn/transport"
	"dormouse/mqttsn/transport/dtls"
	"dormouse/mqttsn/transport/dtls/handshake"
)

// This file is DTLS as a server has it: who may come, and that it may change.

// A secured is the DTLS of one listener.
type secured struct {
	*dtls.Listener // nil until it is open
	listener       *config.Listener
	proofs         *config.Proofs
}

// readSecured reads the files of all listeners with DTLS. The error says
// everything that is wrong.
func readSecured(c *config.Config) ([]*secured, error) {
	var all []*secured
	var errs []error
	for i := range c.Listeners {
		if l := &c.Listeners[i]; l.Proves() {
			d := &secured{listener: l}
			errs = append(errs, d.read(&d.proofs))
			all = append(all, d)
		}
	}
	return all, errors.Join(errs...)
}

func (d *secured) read(into **config.Proofs) (err error) {
	if *into, err = d.listener.Proofs(); err != nil {
		return fmt.Errorf("listeners.%s.%w", d.listener.Name, err)
	}
	return nil
}

// secure puts DTLS on conn, and takes up whom it knew before.
func (s *server) secure(c *config.Config, l *config.Listener, conn transport.Transport) (*secured, error) {
	var d *secured
	for _, of := range s.secured {
		if of.listener == l {
			d = of
		}
	}
	dc := dtlsConfig(c, l)
	dc.Failed = failedLog(s.log, l.Name)
	if s.writesAhead(l.Name) {
		dc.Keeper = keeper{s.kept, l.Name}
	}
	var err error
	if dc.Secret, err = s.kept.secret(); err != nil {
		return nil, err
	}
	if d.Listener, err = dtls.New(dc, credentials(d.proofs), conn); err != nil {
		return nil, err
	}
	taken, err := d.Load()
	if err != nil {
		return nil, err
	}
	tell := func(e *zerolog.Event, event string, n int, says string) {
		if n > 0 {
			e.Str("event", event).Str("listener", l.Name).Int("associations", n).Msg(says)
		}
	}
	tell(s.log.Info(), "associations_taken_up", taken.Up, "sensors that need no handshake")
	tell(s.log.Info(), "associations_void", taken.Void, "sensors that need a handshake: their key is another, their authority none any more, or their certificate has expired")
	tell(s.log.Warn(), "associations_crowded", taken.Crowded, "sensors that need a handshake, as there are more than dtls.max_associations: those that were silent for longest")
	return d, nil
}

// writesAhead reports whether what comes in by a listener is noted in the store
// before anything is done about it, as DTLS does whose associations last.
func (s *server) writesAhead(listener string) bool {
	return s.kept.lasts() && slices.ContainsFunc(s.secured, func(d *secured) bool { return d.listener.Name == listener })
}

// failedLog tells log of handshakes that failed: of some, if they are many.
func failedLog(log zerolog.Logger, listener string) func(netip.AddrPort, error) {
	log = log.Sample(&zerolog.BurstSampler{Burst: 60, Period: time.Minute})
	return func(from netip.AddrPort, why error) {
		log.Info().Err(why).Str("event", "handshake_failed").Str("listener", listener).Stringer("remote", from).
			Msg("no DTLS with a sensor; see dormouse_dtls_handshakes_failed_total")
	}
}

func credentials(p *config.Proofs) *handshake.Credentials {
	c := &handshake.Credentials{Certificate: p.Certificate, Authorities: p.Authorities}
	if p.Keys != nil {
		c.PSK = p.Keys.Key
	}
	return c
}

// proveAgain reads the files of all again. Only apply puts them to use, and only
// if all can be read is there one. It ends what rests on keys that are others by
// now, or on authorities that are none any more.
func proveAgain(all []*secured) (apply func(), err error) {
	fresh, errs := make([]*config.Proofs, len(all)), make([]error, len(all))
	for i, d := range all {
		errs[i] = d.read(&fresh[i])
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return func() {
		for i, d := range all {
			d.goBy(fresh[i])
		}
	}, nil
}

// goBy has handshakes go by p, and ends what would have failed by it.
func (d *secured) goBy(p *config.Proofs) {
	if err := d.SetCredentials(credentials(p)); err != nil {
		panic(err) // Proofs has refused what could be wrong with them
	}
	d.proofs = p
}

// warn tells of files that are as they should not be.
func (d *secured) warn(log zerolog.Logger, now time.Time) {
	if p := d.proofs; p.Keys != nil && p.Keys.Exposed {
		log.Warn().Str("event", "keys_exposed").Str("listener", d.listener.Name).Str("file", d.listener.DTLS.PSKFile).
			Msg("every user of this machine may read the file and pass for any sensor in it; run: chmod o-r")
	}
	if p := d.proofs; p.Keys != nil && p.Keys.Short > 0 {
		log.Warn().Str("event", "keys_short").Str("listener", d.listener.Name).Str("file", d.listener.DTLS.PSKFile).Int("keys", p.Keys.Short).
			Msg("who has heard one handshake can try them all at leisure, unless they are random; give them 16 octets: openssl rand -hex 16")
	}
	if p := d.proofs; p.Certificate != nil {
		warnOfValidity(log, d.listener.Name, d.listener.DTLS.CertFile, p.Certificate.Leaf, now)
	}
}
