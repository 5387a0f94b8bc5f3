package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
)

// A certificate is what one listener secures connections with. Each reading
// of its files makes a new tls.Config, so that nobody resumes a session that
// another one has granted.
type certificate struct {
	listener *config.Listener
	current  atomic.Pointer[tls.Config]
}

// readCertificates reads those of all listeners that have one. The error says
// everything that is wrong.
func readCertificates(c *config.Config) ([]*certificate, error) {
	var all []*certificate
	for i := range c.Listeners {
		if l := &c.Listeners[i]; l.Secured() {
			all = append(all, &certificate{listener: l})
		}
	}
	apply, err := reread(all)
	if err != nil {
		return nil, err
	}
	apply()
	return all, nil
}

// reread reads the files of all again. Only apply puts them to use, and only
// if all can be read is there one.
func reread(all []*certificate) (apply func(), err error) {
	fresh, errs := make([]*tls.Config, len(all)), make([]error, len(all))
	for i, c := range all {
		if fresh[i], err = c.listener.ServerTLS(); err != nil {
			errs[i] = fmt.Errorf("listeners.%s.%w", c.listener.Name, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return func() {
		for i, c := range all {
			c.current.Store(fresh[i])
		}
	}, nil
}

// warn tells of a certificate that clients will not believe in at that time.
func (c *certificate) warn(log zerolog.Logger, now time.Time) {
	warnOfValidity(log, c.listener.Name, c.listener.TLS.CertFile, c.leaf(), now)
}

// warnOfValidity is warn for the certificate of a listener in a file.
func warnOfValidity(log zerolog.Logger, listener, file string, leaf *x509.Certificate, now time.Time) {
	event, says := validity(leaf, now)
	if event == "" {
		return
	}
	log.Warn().Str("event", event).Str("listener", listener).Str("file", file).
		Time("not_before", leaf.NotBefore).Time("not_after", leaf.NotAfter).Msg(says)
}

func (c *certificate) leaf() *x509.Certificate { return c.current.Load().Certificates[0].Leaf }

func validity(leaf *x509.Certificate, now time.Time) (event, says string) {
	switch {
	case now.Before(leaf.NotBefore):
		return "certificate_not_yet_valid", "clients will turn away until the certificate is valid; check the clock"
	case now.After(leaf.NotAfter):
		return "certificate_expired", "clients will turn away; renew the certificate, then send SIGHUP"
	}
	return "", ""
}
