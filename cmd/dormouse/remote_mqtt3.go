package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// An mqtt3 is a server of MQTT 3.1 or 3.1.1.
type mqtt3 struct {
	client mqtt.Client
	mail   chan message
	lost   chan error
}

func (w *whom) connectMQTT3(ctx context.Context) (remote, error) {
	conn, err := w.dialMQTT(ctx)
	if err != nil {
		return nil, err
	}
	r := &mqtt3{mail: make(chan message), lost: make(chan error, 1)}
	o := mqtt.NewClientOptions().
		AddBroker("tcp://" + w.server().Host). // for its log; the connection is ours
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return conn, nil }).
		SetProtocolVersion(uint(mqttVersions[w.Version])).
		SetClientID(w.clientID()).
		SetCleanSession(!w.Keep).
		SetKeepAlive(time.Duration(w.KeepAlive)).
		SetConnectTimeout(patience).
		SetAutoReconnect(false).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { r.lost <- err }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			select {
			case r.mail <- message{topic{name: m.Topic()}, m.Payload(), int(m.Qos()), m.Retained()}:
			case <-ctx.Done():
			}
		})
	if w.Username != nil {
		o.SetUsername(*w.Username)
	}
	if w.Password != nil {
		o.SetPassword(*w.Password)
	}
	r.client = mqtt.NewClient(o)
	return r, w.connected(wait(ctx, r.client.Connect()))
}

// connected gives the error of a CONNECT its exit status.
func (w *whom) connected(err error) error {
	told := new(failure)
	switch {
	case errors.As(err, &told): // by who dialled
		return told
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return &failure{statusRefused, fmt.Errorf("%s://%s does not let us in: %w; see -u and -P", w.server().Scheme, w.server().Host, err)}
	case errors.Is(err, packets.ErrorNetworkError):
		return w.unreachable(err)
	}
	return err
}

// wait waits for what the library is doing.
func wait(ctx context.Context, t mqtt.Token) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-timeout.C:
		return &failure{statusUnreachable, errors.New("the server does not answer")}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *mqtt3) publish(ctx context.Context, m message) error {
	return wait(ctx, r.client.Publish(m.topic.name, byte(m.qos), m.retain, m.payload))
}

func (r *mqtt3) subscribe(ctx context.Context, t topic, qos int) error {
	token := r.client.Subscribe(t.name, byte(qos), nil)
	if err := wait(ctx, token); err != nil {
		return err
	}
	if granted := token.(*mqtt.SubscribeToken).Result()[t.name]; granted > 2 {
		return fmt.Errorf("SUBSCRIBE to %s refused", t)
	}
	return nil
}

func (r *mqtt3) sleep(context.Context, time.Duration) error { return errNoSleep }

func (r *mqtt3) receive(ctx context.Context) (message, error) {
	select {
	case m := <-r.mail:
		return m, nil
	case err := <-r.lost:
		return message{}, fmt.Errorf("the connection is lost: %w", err)
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

func (r *mqtt3) leave(context.Context, time.Duration) error {
	r.client.Disconnect(uint(time.Second / time.Millisecond))
	return nil
}
