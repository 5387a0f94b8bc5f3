package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// An mqtt5 is a server of MQTT 5.
type mqtt5 struct {
	client *paho.Client
	mail   chan message
	alive  context.Context // ends with the connection, and has the reason
}

// Reasons of CONNACK that say who we are is the trouble, MQTT 5 §3.2.2.2.
const (
	badUserNameOrPassword = 0x86
	notAuthorized         = 0x87
	refusedFrom           = 0x80 // reasons from here on are refusals
)

// keptFor is how long a kept session is asked to outlive its connection:
// always, MQTT 5 §3.1.2.11.2, which is as much as 3.1.1 asks for.
const keptFor = 0xffffffff

func (w *whom) connectMQTT5(ctx context.Context) (remote, error) {
	conn, err := w.dialMQTT(ctx)
	if err != nil {
		return nil, err
	}
	r := &mqtt5{mail: make(chan message)}
	var lose context.CancelCauseFunc
	r.alive, lose = context.WithCancelCause(ctx)
	r.client = paho.NewClient(paho.ClientConfig{
		Conn:          packets.NewThreadSafeConn(conn), // over TLS a packet takes several writes
		PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			m := p.Packet
			select {
			case r.mail <- message{topic{name: m.Topic}, m.Payload, int(m.QoS), m.Retain}:
			case <-r.alive.Done():
			}
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) {
			lose(fmt.Errorf("the server has ended the connection: reason 0x%02x", d.ReasonCode))
		},
		OnClientError: func(err error) { lose(fmt.Errorf("the connection is lost: %w", err)) },
	})
	c := &paho.Connect{
		ClientID:   w.clientID(),
		KeepAlive:  uint16(time.Duration(w.KeepAlive) / time.Second),
		CleanStart: !w.Keep,
	}
	if w.Keep {
		seconds := uint32(keptFor)
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &seconds}
	}
	if w.Username != nil {
		c.Username, c.UsernameFlag = *w.Username, true
	}
	if w.Password != nil {
		c.Password, c.PasswordFlag = []byte(*w.Password), true
	}
	timeout, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := r.client.Connect(timeout, c)
	switch {
	case err == nil:
		return r, nil
	case answer == nil || answer.ReasonCode < refusedFrom:
		return nil, w.unreachable(err)
	case answer.ReasonCode == badUserNameOrPassword, answer.ReasonCode == notAuthorized:
		return nil, &failure{statusRefused, err}
	}
	return nil, err
}

func (r *mqtt5) publish(_ context.Context, m message) error {
	a, err := r.client.Publish(r.alive, &paho.Publish{
		Topic:   m.topic.name,
		Payload: m.payload,
		QoS:     byte(m.qos),
		Retain:  m.retain,
	})
	if err != nil && a != nil && a.ReasonCode >= refusedFrom {
		return refusedMQTT5("PUBLISH", a.ReasonCode, a.Properties.ReasonString)
	}
	return r.because(err)
}

func (r *mqtt5) subscribe(_ context.Context, t topic, qos int) error {
	a, err := r.client.Subscribe(r.alive, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: t.name, QoS: byte(qos)}},
	})
	if err != nil && a != nil && len(a.Reasons) > 0 {
		return refusedMQTT5("SUBSCRIBE", a.Reasons[0], a.Properties.ReasonString)
	}
	return r.because(err)
}

// refusedMQTT5 has why as the server puts it, if it does.
func refusedMQTT5(what string, reason byte, why string) error {
	if why == "" {
		return fmt.Errorf("%s refused: reason 0x%02x", what, reason)
	}
	return fmt.Errorf("%s refused: reason 0x%02x, %q", what, reason, why)
}

// because says of a request that failed with err why that is.
func (r *mqtt5) because(err error) error {
	switch {
	case err != nil && r.alive.Err() != nil:
		return context.Cause(r.alive)
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{statusUnreachable, errors.New("the server does not answer")}
	}
	return err
}

func (r *mqtt5) sleep(context.Context, time.Duration) error { return errNoSleep }

func (r *mqtt5) receive(ctx context.Context) (message, error) {
	select {
	case m := <-r.mail:
		return m, nil
	case <-r.alive.Done():
		return message{}, context.Cause(r.alive)
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

func (r *mqtt5) leave(context.Context, time.Duration) error {
	return r.client.Disconnect(&paho.Disconnect{})
}
