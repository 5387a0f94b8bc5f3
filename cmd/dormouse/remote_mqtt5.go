package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// An mqtt5 is a server of MQTT 5.
type mqtt5 struct {
	client *paho.Client
	mail   chan message
	lost   chan error
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
	r := &mqtt5{mail: make(chan message), lost: make(chan error, 1)}
	r.client = paho.NewClient(paho.ClientConfig{
		Conn:          conn,
		PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			m := p.Packet
			select {
			case r.mail <- message{topic{name: m.Topic}, m.Payload, int(m.QoS), m.Retain}:
			case <-ctx.Done():
			}
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) {
			r.lose(fmt.Errorf("the server has ended the connection: reason 0x%02x", d.ReasonCode))
		},
		OnClientError: func(err error) { r.lose(fmt.Errorf("the connection is lost: %w", err)) },
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
		return nil, &failure{statusUnreachable, err}
	case answer.ReasonCode == badUserNameOrPassword, answer.ReasonCode == notAuthorized:
		return nil, &failure{statusRefused, err}
	}
	return nil, err
}

// lose keeps the first reason; the library may have several.
func (r *mqtt5) lose(err error) {
	select {
	case r.lost <- err:
	default:
	}
}

func (r *mqtt5) publish(ctx context.Context, m message) error {
	_, err := r.client.Publish(ctx, &paho.Publish{
		Topic:   m.topic.name,
		Payload: m.payload,
		QoS:     byte(m.qos),
		Retain:  m.retain,
	})
	return late(err)
}

func (r *mqtt5) subscribe(ctx context.Context, t topic, qos int) error {
	_, err := r.client.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: t.name, QoS: byte(qos)}},
	})
	return late(err)
}

// late gives an answer that did not come its exit status.
func late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{statusUnreachable, errors.New("the server does not answer")}
	}
	return err
}

func (r *mqtt5) sleep(context.Context, time.Duration) error { return errNoSleep }

func (r *mqtt5) receive(ctx context.Context) (message, error) {
	select {
	case m := <-r.mail:
		return m, nil
	case err := <-r.lost:
		return message{}, err
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

func (r *mqtt5) leave(context.Context, time.Duration) error {
	return r.client.Disconnect(&paho.Disconnect{})
}
