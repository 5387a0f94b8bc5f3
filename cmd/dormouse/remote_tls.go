package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/configs/strict"
)

// trust are the flags that say how it is secured. Their names are those of
// mosquitto_pub.
type trust struct {
	URL      string `name:"url" placeholder:"URL" help:"Server, in place of -h and -p (MQTT): such as mqtts://example.org or ws://127.0.0.1:8083/mqtt."`
	CAFile   string `name:"cafile" placeholder:"FILE" help:"Authorities to believe rather than those of the system, in PEM. Speaks TLS, or DTLS for MQTT-SN."`
	Cert     string `name:"cert" placeholder:"FILE" help:"Certificate to show, in PEM. Speaks TLS, or DTLS for MQTT-SN."`
	Key      string `name:"key" placeholder:"FILE" help:"Its private key, in PEM."`
	Insecure bool   `name:"insecure" help:"Do not check whose certificate it is that the server shows."`

	urlFlag string // what URL is called in messages; empty: --url
}

func (t *trust) urlName() string {
	if t.urlFlag != "" {
		return t.urlFlag
	}
	return "--url"
}

// wanted reports whether a flag asks for TLS.
func (t *trust) wanted() bool { return t.CAFile != "" || t.Cert != "" || t.Key != "" || t.Insecure }

// schemes are those of URLs: whether they are TLS, and their ports.
var schemes = map[string]struct {
	secure bool
	port   uint16
}{
	"mqtt": {false, 1883}, "mqtts": {true, 8883}, "ws": {false, 8083}, "wss": {true, 8084},
}

// check finds flags that do not go together.
func (t *trust) check(w *whom) error {
	switch {
	case !w.MQTT && t.URL != "":
		return usage("--url is for MQTT; add --mqtt")
	case (t.Cert == "") != (t.Key == ""):
		return usage("--cert and --key belong together; give both")
	case t.URL == "":
		return nil
	case w.Port != 0:
		return usage("-p does not go with %s; write the port there", t.urlName())
	}
	u, err := url.Parse(t.URL)
	switch {
	case err == nil && u.User != nil:
		return usage("%s has a user name in it; give that by -u, and a password by -P", t.urlName())
	case err != nil || schemes[u.Scheme].port == 0 || u.Hostname() == "":
		return usage("%s is %q; it must be mqtt, mqtts, ws or wss, ://, a host, and perhaps a port", t.urlName(), strict.Discreet(t.URL))
	}
	if web := u.Scheme == "ws" || u.Scheme == "wss"; !web && u.Path != "" {
		return usage("%s has the path %q; only ws and wss have one, and topics are for -t", t.urlName(), u.Path)
	}
	if t.wanted() && !schemes[u.Scheme].secure {
		return usage("%s is not for TLS, and other flags are; write mqtts or wss", t.urlName())
	}
	return nil
}

// server is where the MQTT server is, with its port.
func (w *whom) server() *url.URL {
	if w.URL == "" {
		u := &url.URL{Scheme: "mqtt"}
		if w.wanted() {
			u.Scheme = "mqtts"
		}
		port := w.Port
		if port == 0 {
			port = schemes[u.Scheme].port
		}
		u.Host = net.JoinHostPort(w.Host, strconv.Itoa(int(port)))
		return u
	}
	u, err := url.Parse(w.URL)
	if err != nil {
		panic(err) // check has been there
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(int(schemes[u.Scheme].port)))
	}
	return u
}

// config reads the files.
func (t *trust) config() (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: t.Insecure}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, usage("--cafile: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, usage("--cafile: there is no certificate in %s; it must be in PEM", t.CAFile)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, usage("--cert and --key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dialMQTT opens the connection for either MQTT client.
func (w *whom) dialMQTT(ctx context.Context) (net.Conn, error) {
	secure, err := w.config()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var conn net.Conn
	switch at := w.server(); at.Scheme {
	case "mqtt":
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	case "mqtts":
		secure.NextProtos = []string{"mqtt"}
		conn, err = (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", at.Host)
	default:
		until, _ := ctx.Deadline()
		conn, err = mqtt.NewWebsocket(at.String(), secure, time.Until(until), nil, nil)
	}
	if err != nil {
		return nil, w.unreachable(err)
	}
	return conn, nil
}

// unreachable says of err where it was and what may help.
func (w *whom) unreachable(err error) error {
	at, help := w.server(), fmt.Sprintf("if something else is spoken there, see %s and --cafile", w.urlName())
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		help = "name the authority with --cafile"
	case errors.Is(err, syscall.ECONNREFUSED):
		help = "is the server running?"
	}
	return &failure{statusUnreachable, fmt.Errorf("%s://%s: %w; %s", at.Scheme, at.Host, err, help)}
}
