package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// A remote is a broker as pub and sub talk to it, in either protocol.
type remote interface {
	publish(context.Context, message) error
	subscribe(context.Context, topic, int) error
	// sleep closes the radio and opens it every d; messages come then.
	sleep(ctx context.Context, d time.Duration) error
	receive(context.Context) (message, error)
	// leave says goodbye, or that it sleeps for as long as asleep says.
	leave(ctx context.Context, asleep time.Duration) error
}

// A message is what pub sends and sub prints.
type message struct {
	topic   topic
	payload []byte
	qos     int
	retain  bool
}

// A topic is a name, or a predefined id where there is none.
type topic struct {
	name string
	id   uint16
}

func (t topic) String() string {
	if t.name == "" {
		return fmt.Sprintf("predefined:%d", t.id)
	}
	return t.name
}

// whom are the flags that say whom to talk to, and as whom. The letters are
// those of mqtt-sn-tools and of mosquitto_pub.
type whom struct {
	Host      string  `short:"h" default:"127.0.0.1" help:"Host of the server."`
	Port      uint16  `short:"p" placeholder:"PORT" help:"Its port. By default 1884; with --mqtt 1883; 8883 for TLS and DTLS."`
	SN        bool    `name:"sn" xor:"protocol" help:"Speak MQTT-SN. This is the default."`
	MQTT      bool    `name:"mqtt" xor:"protocol" help:"Speak MQTT."`
	ID        string  `short:"i" placeholder:"ID" help:"Client id. By default one of its own."`
	KeepAlive span    `short:"k" name:"keepalive" default:"60s" help:"Keep alive period: whole seconds, or such as 2m."`
	Keep      bool    `short:"c" name:"keep-session" help:"Do not ask for a clean session: subscriptions and messages are kept for the id."`
	Username  *string `short:"u" placeholder:"NAME" help:"User name (MQTT)."`
	Password  *string `short:"P" placeholder:"PASSWORD" help:"Password (MQTT)."`
	Version   string  `short:"V" name:"protocol-version" placeholder:"VERSION" help:"MQTT version: 3, 4 or 311, 5. By default 4, which is 3.1.1."`
	PSK       string  `name:"psk" placeholder:"HEX" help:"Pre-shared key, in hexadecimal digits. Speaks DTLS (MQTT-SN)."`
	Identity  string  `name:"psk-identity" placeholder:"NAME" help:"Whose key that is."`
	Debug     bool    `short:"d" help:"Print every packet to standard error (MQTT-SN)."`
	trust
}

// A span is a flag's time: whole seconds as mqtt-sn-tools has it, or with a unit.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseUint(string(text), 10, 32); err == nil {
		*s = span(n) * span(time.Second)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 || d%time.Second != 0 {
		return fmt.Errorf("%q is no time; give whole seconds, or such as 2m", text)
	}
	*s = span(d)
	return nil
}

// mqttVersions are the protocol levels of MQTT by what people call them.
var mqttVersions = map[string]byte{
	"": 4, "3": 3, "31": 3, "mqttv31": 3, "4": 4, "311": 4, "mqttv311": 4, "5": 5, "mqttv5": 5,
}

func usage(format string, args ...any) error {
	return &failure{statusUsage, fmt.Errorf(format, args...)}
}

// check finds flags that do not go together.
func (w *whom) check() error {
	_, known := mqttVersions[w.Version]
	switch longest := span(65535 * time.Second); {
	case !known:
		return usage("-V is %q; it must be 3, 4, 311 or 5", w.Version)
	case w.MQTT && w.Debug:
		return usage("-d shows MQTT-SN packets; it does not go with --mqtt")
	case !w.MQTT && (w.Username != nil || w.Password != nil || w.Version != ""):
		return usage("-u, -P and -V are for MQTT; add --mqtt")
	case w.MQTT && w.PSK != "":
		return usage("--psk is for MQTT-SN; it does not go with --mqtt")
	case (w.PSK == "") != (w.Identity == ""):
		return usage("--psk and --psk-identity belong together; give both")
	case w.PSK != "" && w.wanted():
		return usage("--psk is in place of certificates; leave out --cafile, --cert, --key and --insecure")
	case w.Keep && w.ID == "":
		return usage("-c keeps the session of a client id; give one with -i")
	case w.KeepAlive > longest:
		return usage("-k is %v; it must be at most %v", time.Duration(w.KeepAlive), time.Duration(longest))
	}
	return w.trust.check(w)
}

// clientID returns the id to connect with. One that is made up is within the 23
// octets of 1.2 §5.3.1, and nobody else's: two of one id throw each other out.
func (w *whom) clientID() string {
	if w.ID == "" {
		return "dormouse-" + rand.Text()[:12]
	}
	return w.ID
}

// address is where the MQTT-SN gateway is.
func (w *whom) address() string {
	port := w.Port
	if port == 0 {
		port = 1884
		if w.secured() {
			port = 8883
		}
	}
	return net.JoinHostPort(w.Host, strconv.Itoa(int(port)))
}

// connect returns the server, connected to. How it fails has an exit status.
func (w *whom) connect(ctx context.Context, s *streams, command string) (remote, error) {
	switch {
	case !w.MQTT:
		return w.connectSN(ctx, s, command)
	case mqttVersions[w.Version] == 5:
		return w.connectMQTT5(ctx)
	default:
		return w.connectMQTT3(ctx)
	}
}

// patience is how long an MQTT server may take over a request.
const patience = 10 * time.Second

var errNoSleep = errors.New("an MQTT client does not sleep")
