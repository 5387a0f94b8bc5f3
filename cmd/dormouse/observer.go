package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// An observer is an MQTT client beside a fleet of sensors: it hears what they
// report, and publishes what they are sent. It comes back when the server does,
// and subscribes again.
type observer struct {
	whom   *whom
	client mqtt.Client
	hear   func(topic string, payload []byte, qos byte, retained bool)
	flying chan flight   // publishes not acknowledged, in order
	room   chan struct{} // taken by each of them
	closed chan struct{}
	done   sync.WaitGroup

	mu       sync.Mutex
	filters  map[string]byte
	attended int           // how often it has connected, and subscribed to all
	changed  chan struct{} // closed when attended changes
}

// A flight is a publish under way.
type flight struct {
	token mqtt.Token
	done  func(error)
}

// A shelf is where the library keeps what is not acknowledged. It looks there
// once after it has come back, for what to send again.
type shelf struct {
	mqtt.Store
	looked chan struct{} // has room for one
}

// All is the look.
func (s *shelf) All() []string {
	keys := s.Store.All()
	select {
	case s.looked <- struct{}{}:
	default:
	}
	return keys
}

// flyingMost is how many publishes may be unacknowledged. MQTT could tell 65535
// apart, but no server wants so many.
const flyingMost = 512

// returnEach is how often it tries to come back.
const returnEach = 500 * time.Millisecond

// newObserver returns an observer that is connected as w says. Its session is
// kept while it lives, so that a connection that is lost loses nothing else.
func newObserver(ctx context.Context, w *whom) (*observer, error) {
	o := &observer{
		whom:    w,
		flying:  make(chan flight, flyingMost),
		room:    make(chan struct{}, flyingMost),
		closed:  make(chan struct{}),
		filters: make(map[string]byte),
		changed: make(chan struct{}),
	}
	kept, back := &shelf{mqtt.NewMemoryStore(), make(chan struct{}, 1)}, new(atomic.Bool)
	first := o.options(ctx, w.clientID()).
		SetStore(kept).
		SetCleanSession(false).
		SetAutoReconnect(true).
		SetMaxReconnectInterval(returnEach).
		SetReconnectingHandler(func(mqtt.Client, *mqtt.ClientOptions) {
			back.Store(true)
			select {
			case <-kept.looked:
			default:
			}
		}).
		SetOnConnectHandler(func(mqtt.Client) {
			if back.Load() { // what is published before that look may be sent twice
				<-kept.looked
			}
			o.attend()
		}).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			o.hear(m.Topic(), m.Payload(), m.Qos(), m.Retained())
		})
	o.client = mqtt.NewClient(first)
	if err := w.connected(wait(ctx, o.client.Connect())); err != nil {
		return nil, err
	}
	o.done.Go(o.land)
	return o, nil
}

func (o *observer) options(ctx context.Context, id string) *mqtt.ClientOptions {
	c := mqtt.NewClientOptions().
		AddBroker("tcp://" + o.whom.server().Host). // for its log; the connection is ours
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return o.whom.dialMQTT(ctx) }).
		SetProtocolVersion(4).
		SetClientID(id).
		SetKeepAlive(time.Duration(o.whom.KeepAlive)).
		SetConnectTimeout(patience)
	if o.whom.Username != nil {
		c.SetUsername(*o.whom.Username)
	}
	if o.whom.Password != nil {
		c.SetPassword(*o.whom.Password)
	}
	return c
}

// Hear says who is told of messages, one at a time.
func (o *observer) Hear(f func(topic string, payload []byte, qos byte, retained bool)) { o.hear = f }

// Subscribe subscribes, now and whenever it has connected again.
func (o *observer) Subscribe(filter string, qos byte) error {
	o.mu.Lock()
	o.filters[filter] = qos
	o.mu.Unlock()
	return o.subscribe(map[string]byte{filter: qos})
}

func (o *observer) subscribe(filters map[string]byte) error {
	token := o.client.SubscribeMultiple(filters, nil)
	if !token.WaitTimeout(patience) {
		return &failure{statusUnreachable, errors.New("the MQTT server does not answer SUBSCRIBE")}
	}
	if err := token.Error(); err != nil {
		return err
	}
	for filter, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted > 2 {
			return fmt.Errorf("the MQTT server refuses the subscription to %s", filter)
		}
	}
	return nil
}

// attend subscribes after a connect. If it cannot, the connection is gone
// already, or will be tried again.
func (o *observer) attend() {
	o.mu.Lock()
	filters := make(map[string]byte, len(o.filters))
	for f, qos := range o.filters {
		filters[f] = qos
	}
	o.mu.Unlock()
	if len(filters) > 0 && o.subscribe(filters) != nil {
		return
	}
	o.mu.Lock()
	o.attended++
	close(o.changed)
	o.changed = make(chan struct{})
	o.mu.Unlock()
}

// times is how often it has connected and subscribed.
func (o *observer) times() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attended
}

// returned waits until it has done so more often than that.
func (o *observer) returned(ctx context.Context, than int) error {
	for {
		o.mu.Lock()
		n, changed := o.attended, o.changed
		o.mu.Unlock()
		if n > than {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Why the server does not have a message.
var (
	errUnacknowledged = errors.New("the MQTT server acknowledges nothing")
	errTooLate        = errors.New("the MQTT server had not acknowledged it when the run was over")
)

// Publish publishes. It waits while too many are under way, but not for a
// server that is gone.
func (o *observer) Publish(topic string, payload []byte, qos byte, retain bool, done func(error)) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case o.room <- struct{}{}:
		o.flying <- flight{o.client.Publish(topic, qos, retain, append([]byte(nil), payload...)), done}
	case <-late.C:
		done(errUnacknowledged)
	}
}

// land waits for publishes to be acknowledged. An MQTT server acknowledges in
// order, so that one behind another is seldom late. What is under way when the
// observer is closed may never be: the library waits for the server to return.
func (o *observer) land() {
	for f := range o.flying {
		select {
		case <-f.token.Done():
			f.done(f.token.Error())
		case <-o.closed:
			f.done(errTooLate)
		}
		<-o.room
	}
}

// leave is how long a goodbye may take.
const leave = time.Second

// Close ends the connection, and the session.
func (o *observer) Close() error {
	r := o.client.OptionsReader()
	id := r.ClientID()
	o.client.Disconnect(uint(leave.Milliseconds()))
	close(o.closed)
	close(o.flying)
	o.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), leave)
	defer cancel()
	last := mqtt.NewClient(o.options(ctx, id).SetCleanSession(true).SetAutoReconnect(false))
	if wait(ctx, last.Connect()) == nil {
		last.Disconnect(uint(leave.Milliseconds()))
	}
	return nil // a session that could not be ended is the server's to forget
}
