package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/mqttsn/transport/dtls/handshake"
)

// Someone sits before the terminal, and the gateway is seldom far: packets are
// repeated sooner than 1.2 §7.2 has it for sensors.
const (
	retryInterval = 3 * time.Second
	maxRetries    = 4
)

// An snRemote is a gateway.
type snRemote struct {
	*client.Conn
	stop context.CancelFunc // of the naps
	naps chan struct{}      // closed when there are no more; nil without sleep
}

// dialSN opens the socket. Nothing is sent.
func (w *whom) dialSN(ctx context.Context, s *streams, command string) (*snRemote, error) {
	d := client.DefaultDialer()
	d.Config.RetryInterval, d.Config.MaxRetries = retryInterval, maxRetries
	if w.Debug {
		d.Trace = func(sent bool, b []byte) {
			arrow := map[bool]string{true: "->", false: "<-"}[sent]
			if p, err := mqttsn.Decode(d.Version, b); err != nil {
				fmt.Fprintf(s.err, "dormouse %s: %s %x: %v\n", command, arrow, b, err)
			} else {
				fmt.Fprintf(s.err, "dormouse %s: %s %v\n", command, arrow, p)
			}
		}
	}
	if w.secured() {
		proof, err := w.proof()
		if err != nil {
			return nil, err
		}
		d.Open = func(ctx context.Context, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			conn, err := proof.Dial(ctx, address)
			if err != nil {
				return nil, fmt.Errorf("DTLS with %s: %w; is the server running, and does it know the key or the certificate? For MQTT add --mqtt", address, err)
			}
			return conn, nil
		}
	}
	conn, err := d.Dial(ctx, w.address())
	if err != nil {
		return nil, &failure{statusUnreachable, err}
	}
	return &snRemote{Conn: conn}, nil
}

// secured reports whether MQTT-SN goes over DTLS.
func (w *whom) secured() bool { return w.PSK != "" || w.wanted() }

// proof is how we and the gateway know each other.
func (w *whom) proof() (*handshake.Proof, error) {
	if w.PSK != "" {
		key, err := hex.DecodeString(w.PSK)
		if err != nil {
			return nil, usage("--psk is not an even number of hexadecimal digits")
		}
		return &handshake.Proof{Identity: w.Identity, Key: key}, nil
	}
	c, err := w.config()
	if err != nil {
		return nil, err
	}
	c.ServerName = w.Host
	return &handshake.Proof{TLS: c}, nil
}

func (w *whom) connectSN(ctx context.Context, s *streams, command string) (remote, error) {
	r, err := w.dialSN(ctx, s, command)
	if err != nil {
		return nil, err
	}
	err = r.Connect(ctx, client.Session{
		ClientID:     w.clientID(),
		KeepAlive:    time.Duration(w.KeepAlive),
		CleanSession: !w.Keep,
	})
	if err != nil {
		r.Close()
		return nil, statusOf(err)
	}
	return r, nil
}

// statusOf gives an error of the client its exit status.
func statusOf(err error) error {
	if errors.Is(err, client.ErrNoAnswer) {
		return &failure{statusUnreachable, err}
	}
	return err
}

// spell chooses the shortest way to say a topic: two octets are a name that
// needs no id.
func (t topic) spell() mqttsn.Topic {
	if t.name == "" {
		return client.Predefined(t.id)
	}
	if short, ok := client.Short(t.name); ok && !strings.ContainsAny(t.name, "+#") {
		return short
	}
	return client.Name(t.name)
}

func (r *snRemote) publish(ctx context.Context, m message) error {
	return statusOf(r.Publish(ctx, client.Message{
		Topic:   m.topic.spell(),
		Payload: m.payload,
		QoS:     mqttsn.QoS(m.qos),
		Retain:  m.retain,
	}))
}

func (r *snRemote) subscribe(ctx context.Context, t topic, qos int) error {
	_, err := r.Subscribe(ctx, t.spell(), mqttsn.QoS(qos))
	return statusOf(err)
}

// sleep naps in the background. A nap that fails breaks the connection, and
// receive says so.
func (r *snRemote) sleep(ctx context.Context, d time.Duration) error {
	if err := r.Sleep(ctx, d); err != nil {
		return statusOf(err)
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.naps = make(chan struct{})
	go func() {
		defer close(r.naps)
		alarm := time.NewTicker(d)
		defer alarm.Stop()
		for {
			select {
			case <-alarm.C:
			case <-ctx.Done():
				return
			}
			if r.Wake(ctx) != nil {
				return
			}
		}
	}()
	return nil
}

func (r *snRemote) receive(ctx context.Context) (message, error) {
	m, err := r.Receive(ctx)
	if err != nil {
		return message{}, statusOf(err)
	}
	t := topic{id: m.Topic.ID}
	if name, ok := client.NameOf(m.Topic); ok {
		t = topic{name: name}
	}
	return message{t, m.Payload, int(m.QoS), m.Retain}, nil
}

func (r *snRemote) leave(ctx context.Context, asleep time.Duration) error {
	defer r.Close()
	if r.naps != nil {
		r.stop()
		<-r.naps
	}
	if asleep > 0 {
		return statusOf(r.Sleep(ctx, asleep))
	}
	return statusOf(r.Disconnect(ctx))
}
