package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"

	"dormouse/configs/strict"
)

// Secured reports whether l speaks TLS.
func (l *Listener) Secured() bool { return l.Type == "tls" || l.Type == "wss" }

// Identifies reports whether certificates say there who clients are.
func (l *Listener) Identifies() bool { return l.Secured() && l.Identity != "none" }

// KnowsUsers reports whether anybody checks who clients say they are.
func (c *Config) KnowsUsers() bool {
	return len(c.Auth.Providers) > 0 || slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Identifies() || l.Proves() })
}

// Web reports whether l speaks WebSocket.
func (l *Listener) Web() bool { return l.Type == "ws" || l.Type == "wss" }

// A fileError says what is wrong with the file of a setting, and what to do.
type fileError struct {
	key string // below the listener's
	why string
}

func (e *fileError) Error() string { return e.key + ": " + e.why }

var clientAuth = map[string]tls.ClientAuthType{
	"none":    tls.NoClientCert,
	"request": tls.VerifyClientCertIfGiven,
	"require": tls.RequireAndVerifyClientCert,
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// ServerTLS reads l's files and returns what it is to secure connections with.
// The error says which file of which key it is about, and what to do.
func (l *Listener) ServerTLS() (*tls.Config, error) {
	t := &l.TLS
	certificate, err := t.certificate()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   clientAuth[t.ClientAuth],
		MinVersion:   tlsVersions[t.MinVersion],
		NextProtos:   []string{"mqtt"},
	}
	if l.Web() {
		c.NextProtos = []string{"http/1.1"} // what browsers ask for
	}
	if t.ClientCAFile != "" {
		authorities, err := readAuthorities("tls.client_ca_file", t.ClientCAFile)
		if err != nil {
			return nil, err
		}
		c.ClientCAs = poolOf(authorities)
	}
	return c, nil
}

func (t *TLS) certificate() (tls.Certificate, error) {
	return readCertificate("tls", t.CertFile, t.KeyFile)
}

// readCertificate reads the certificate and the key of a section.
func readCertificate(section, certFile, keyFile string) (tls.Certificate, error) {
	ofCertificate, ofKey := section+".cert_file", section+".key_file"
	text, err := readPEM(ofCertificate, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if block, _ := pem.Decode(text); block == nil || block.Type != "CERTIFICATE" {
		return tls.Certificate{}, noCertificate(ofCertificate, certFile)
	} else if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return tls.Certificate{}, &fileError{ofCertificate, fmt.Sprintf("the certificate in %s cannot be read: %v", certFile, err)}
	}
	key, err := readPEM(ofKey, keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		return tls.Certificate{}, &fileError{ofKey, fmt.Sprintf(
			"%s does not go with the certificate in cert_file: %v; name the private key that it was made with, without a passphrase", keyFile, err)}
	}
	return pair, nil
}

// readAuthorities reads the authorities in a file.
func readAuthorities(key, file string) (as []*x509.Certificate, err error) {
	text, err := readPEM(key, file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if a, err := x509.ParseCertificate(block.Bytes); err == nil { // as x509 has it
			as = append(as, a)
		}
	}
	if as == nil {
		return nil, noCertificate(key, file)
	}
	return as, nil
}

func poolOf(as []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range as {
		pool.AddCert(a)
	}
	return pool
}

func noCertificate(key, file string) error {
	return &fileError{key, fmt.Sprintf("%s does not begin with a certificate in PEM, -----BEGIN CERTIFICATE-----; name one that does", file)}
}

// maxPEM is the longest file of certificates read, in octets: four times what
// browsers believe in.
const maxPEM = 1 << 20

func readPEM(key, file string) ([]byte, error) {
	wrong := func(format string, args ...any) error {
		return &fileError{key, file + " " + fmt.Sprintf(format, args...)}
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // not to wait for who writes to a pipe
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fileError{key, fmt.Sprintf("there is no file %s; name one that there is", file)}
	case errors.Is(err, fs.ErrPermission):
		return nil, wrong("may not be read by this user; change its owner or mode")
	case err != nil:
		return nil, wrong("cannot be opened: %v", errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, wrong("cannot be read: %v", errors.Unwrap(err))
	case !info.Mode().IsRegular():
		return nil, wrong("is not a file; name one, since it is read again on SIGHUP")
	case info.Size() > maxPEM:
		return nil, wrong("is longer than %v; certificates and keys are not", Bytes(maxPEM))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, wrong("cannot be read: %v", errors.Unwrap(err))
	}
	return text, nil
}

// tls complains about the certificates of l, whose key is key.
func (r *reader) tls(key string, l *Listener, at func(string) strict.Place) {
	t := &l.TLS
	switch {
	case t.CertFile == "":
		r.complain(at("tls"), "%s has no tls.cert_file; a listener of type %s needs a certificate in PEM", key, l.Type)
	case t.KeyFile == "":
		r.complain(at("tls"), "%s has no tls.key_file; a listener of type %s needs its certificate's private key in PEM", key, l.Type)
	case t.ClientAuth != "none" && t.ClientCAFile == "":
		r.complain(at("tls.client_auth"), "%s.tls.client_auth is %s and there is no client_ca_file; name the authorities that clients' certificates are from", key, t.ClientAuth)
	case t.ClientAuth == "none" && t.ClientCAFile != "":
		r.complain(at("tls.client_ca_file"), "%s.tls.client_ca_file is of no use while client_auth is none; make that request or require, or leave the file out", key)
	case t.ClientAuth == "none" && l.Identity != "none":
		r.complain(at("identity"), "%s.identity is %s and tls.client_auth is none, so that nobody shows a certificate; make that request or require, or leave identity out", key, l.Identity)
	default:
		_, err := l.ServerTLS()
		var wrong *fileError
		if errors.As(err, &wrong) {
			r.complain(at(wrong.key), "%s.%v", key, wrong)
		}
	}
}

// web complains about where the WebSocket of l is and who may come.
func (r *reader) web(key string, l *Listener, at func(string) strict.Place) {
	if !strings.HasPrefix(l.Path, "/") || strings.ContainsAny(l.Path, "?#% ") {
		r.complain(at("path"), "%s.path is %q; it must be a path such as /mqtt", key, l.Path)
	}
	for i, origin := range l.AllowedOrigins {
		if name := fmt.Sprintf("allowed_origins[%d]", i); origin != "*" && !isOrigin(origin) {
			r.complain(at(name), "%s.%s is %q; it must be such as https://example.org or http://192.0.2.1:8080, or *", key, name, origin)
		}
	}
}

// isOrigin reports whether a web page may be from there: a scheme and a host,
// with or without a port.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && s == u.Scheme+"://"+u.Host
}
