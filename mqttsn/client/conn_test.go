package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A udpStation is a station with a socket.
type udpStation struct {
	*net.UDPConn
	mu   sync.Mutex
	s    station
	peer net.Addr
	deaf int // datagrams that it does not hear yet
}

func newUDPStation(t testing.TB) *udpStation {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	u := &udpStation{UDPConn: socket}
	u.s = station{ids: map[string]uint16{}, taken: map[uint16]bool{}, say: func(p mqttsn.Packet) {
		b, _ := mqttsn.Append(nil, mqttsn.V12, p)
		u.WriteTo(b, u.peer)
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.serve()
	}()
	t.Cleanup(func() {
		u.Close()
		<-done
	})
	return u
}

func (u *udpStation) serve() {
	buf := make([]byte, 2048)
	for {
		n, peer, err := u.ReadFrom(buf)
		if err != nil {
			return
		}
		u.do(func() {
			u.peer = peer
			if u.deaf > 0 {
				u.deaf--
				return
			}
			if p, err := mqttsn.Decode(mqttsn.V12, buf[:n]); err == nil {
				u.s.handle(clock.Now(), p)
			}
		})
	}
}

// do calls f while the station does nothing else.
func (u *udpStation) do(f func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f()
}

func (u *udpStation) posts(topic, payload string, q mqttsn.QoS) {
	u.do(func() {
		u.s.mail = append(u.s.mail, &mqttsn.Publish{QoS: q, Topic: Name(topic), Payload: []byte(payload)})
		if !u.s.asleep && len(u.s.mail) == 1 {
			u.s.deliver(clock.Now())
		}
	})
}

// dial returns a Conn to address that repeats itself soon.
func dial(t testing.TB, address string, change func(*Dialer)) *Conn {
	t.Helper()
	d := DefaultDialer()
	d.Config.RetryInterval = 100 * time.Millisecond
	d.Config.MaxRetries = 20
	if change != nil {
		change(&d)
	}
	c, err := d.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func dialStation(t testing.TB) (*Conn, *udpStation) {
	t.Helper()
	u := newUDPStation(t)
	c := dial(t, u.LocalAddr().String(), nil)
	if err := c.Connect(t.Context(), Session{ClientID: "dev", CleanSession: true, KeepAlive: time.Minute}); err != nil {
		t.Fatal(err)
	}
	return c, u
}

func (c *Conn) wants(t *testing.T, want string) {
	t.Helper()
	m, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := text(m.Topic) + "=" + string(m.Payload); got != want {
		t.Errorf("received %s, want %s", got, want)
	}
}

func TestConn(t *testing.T) {
	c, u := dialStation(t)
	for q := mqttsn.QoSMinusOne; q <= 2; q++ {
		if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: q, Payload: fmt.Append(nil, q)}); err != nil {
			t.Errorf("publish at QoS %v: %v", q, err)
		}
	}
	if q, err := c.Subscribe(t.Context(), Name("a"), 1); q != 1 || err != nil {
		t.Errorf("subscribe: granted %v, %v", q, err)
	}
	if id, err := c.Register(t.Context(), "a"); id.ID == 0 || err != nil {
		t.Errorf("register: %v, %v", id, err)
	}
	u.posts("a", "1", 1)
	c.wants(t, "a=1")
	if err := errors.Join(c.UpdateWill(t.Context(), Will{Topic: "w"}), c.Unsubscribe(t.Context(), Name("a")),
		c.Sleep(t.Context(), time.Hour)); err != nil {
		t.Error(err)
	}
	u.posts("b", "2", 2)
	if err := c.Wake(t.Context()); err != nil {
		t.Error(err)
	}
	c.wants(t, "b=2")
	if err := c.Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
	u.do(func() {
		if got := strings.Join(u.s.heard, " "); got != "7=-1 7=0 7=1 7=2" {
			t.Errorf("the station has heard %s", got)
		}
	})
}

// TestConnRepeats what the gateway has missed, by itself.
func TestConnRepeats(t *testing.T) {
	c, u := dialStation(t)
	u.do(func() { u.deaf = 2 })
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
		t.Error(err)
	}
}

// TestNobodyListens is told at once, where the network says so.
func TestNobodyListens(t *testing.T) {
	u := newUDPStation(t)
	u.Close()
	c := dial(t, u.LocalAddr().String(), func(d *Dialer) { d.Config.RetryInterval = time.Minute })
	if err := c.Connect(t.Context(), Session{ClientID: "dev"}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v, want %v", err, ErrNoAnswer)
	}
}

// TestConnGivesUp when its caller does; the next request is another matter.
func TestConnGivesUp(t *testing.T) {
	c, u := dialStation(t)
	u.do(func() { u.deaf = 1 << 30 })
	ctx, cancel := context.WithCancel(t.Context())
	go u.do(cancel)
	if err := c.Publish(ctx, Message{Topic: Predefined(7), QoS: 1}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	u.do(func() { u.deaf = 0 })
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
		t.Error(err)
	}
}

// TestConnIsTold when the gateway forgets it, and connects again.
func TestConnIsTold(t *testing.T) {
	c, u := dialStation(t)
	u.do(func() { u.s.say(&mqttsn.Disconnect{}) })
	if _, err := c.Receive(t.Context()); err != ErrDisconnected {
		t.Errorf("got %v, want %v", err, ErrDisconnected)
	}
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7)}); err != ErrState {
		t.Errorf("got %v, want %v", err, ErrState)
	}
	if err := c.Connect(t.Context(), Session{ClientID: "dev"}); err != nil {
		t.Error(err)
	}
	u.posts("a", "1", 1)
	c.wants(t, "a=1")
}

// TestInboxIsBounded: what there is no room for is not acknowledged, and so
// not lost.
func TestInboxIsBounded(t *testing.T) {
	u := newUDPStation(t)
	acks := make(chan struct{}, 100)
	c := dial(t, u.LocalAddr().String(), func(d *Dialer) {
		d.Inbox = 1
		d.Trace = func(sent bool, b []byte) {
			if p, err := mqttsn.Decode(mqttsn.V12, b); err == nil && sent && p.Type() == mqttsn.TypePuback {
				acks <- struct{}{}
			}
		}
	})
	if err := c.Connect(t.Context(), Session{ClientID: "dev"}); err != nil {
		t.Fatal(err)
	}
	u.posts("a", "1", 1)
	<-acks
	u.posts("a", "2", 1)
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil { // a round trip
		t.Fatal(err)
	}
	if len(acks) != 0 {
		t.Error("a message is acknowledged that there is no room for")
	}
	c.wants(t, "a=1")
	u.do(func() { u.s.tick(u.s.retry) })
	c.wants(t, "a=2")
}

func TestClose(t *testing.T) {
	c, _ := dialStation(t)
	go c.Close()
	if _, err := c.Receive(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err == nil {
		t.Error("a closed Conn publishes")
	}
}

// TestMessageTooLong for the network is refused, and the connection lives on.
func TestMessageTooLong(t *testing.T) {
	c, _ := dialStation(t)
	for q := mqttsn.QoSMinusOne; q <= 1; q++ {
		m := Message{Topic: Predefined(7), QoS: q, Payload: make([]byte, 65525)}
		if err := c.Publish(t.Context(), m); err == nil {
			t.Errorf("a datagram of 65534 octets is sent at QoS %v", q)
		}
	}
	if err := c.Publish(t.Context(), Message{Topic: Predefined(7), QoS: 1}); err != nil {
		t.Error(err)
	}
}
