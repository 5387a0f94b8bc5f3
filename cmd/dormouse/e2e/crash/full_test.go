package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// probeTime is how long one attempt may take.
const probeTime = 2 * time.Second

// TestDiskFull: the disk of the real binary, under sensors and MQTT clients,
// has no room, up to its floor or at all. At the floor whoever publishes at QoS
// 1 or 2 is refused in the way of his protocol, and QoS 0 flows; at the brim
// nobody is acknowledged, and QoS 0 flows. Once there is room all goes on in the same process.
// It is killed while its disk is full, too. What was acknowledged is there in
// the end.
func TestDiskFull(t *testing.T) {
	for name, tt := range map[string]struct {
		floor string
		leave int64
		fills func(*victim, *plan, int64) (empty func(), err error)
		again func(v *victim, empty func()) error // it starts, when it was killed on its full disk
	}{
		"up to the floor": {"96MiB", 64 << 20, (*victim).refuses, func(v *victim, _ func()) error { return errors.Join(v.start(), v.await()) }},
		"to the brim":     {"0", 0, (*victim).stalls, (*victim).startsWithRoom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newSmallDisk(t, 384<<20)
			v := &victim{dir: d.dir, tcp: "127.0.0.1:0", udp: "127.0.0.1:0", disk: d, settings: []string{"limits.disk_free_min=" + tt.floor}}
			if err := errors.Join(v.start(), v.await()); err != nil {
				t.Fatal(err)
			}
			defer func() { v.kill() }()
			p := newRealPlan(1, 8, 4)
			wrong := p.live(v, func() error {
				empty, err := tt.fills(v, p, tt.leave)
				if err != nil {
					return err
				}
				empty()
				if err := v.takes(p); err != nil {
					return err
				}
				if empty, err = tt.fills(v, p, tt.leave); err != nil {
					return err
				}
				v.kill()
				p.h.mu.Lock()
				p.h.life++
				p.h.mu.Unlock()
				if err := tt.again(v, empty); err != nil {
					return err
				}
				empty()
				err = v.takes(p)
				p.calm.Store(true)
				return err
			})
			if len(wrong) > 0 {
				blame(t, 1, wrong)
			}
			t.Logf("sensors were refused %d times; %d messages of sensors and %d of apps were acknowledged",
				p.h.refused, p.h.ackedTo("sensor"), p.h.ackedTo("app"))
		})
	}
}

// stalls fills the disk to the brim, and sees that nobody is acknowledged then,
// and QoS 0 flows.
func (v *victim) stalls(p *plan, leave int64) (empty func(), err error) {
	c, err := connect5(v.tcp)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	flow, err := connect3(v.tcp, "flow")
	if err != nil {
		return nil, err
	}
	defer flow.Close()
	p.h.mu.Lock()
	p.h.mayRefuse = true
	p.h.mu.Unlock()
	empty = v.disk.fill(leave)
	err = within("dormouse_store_full", func() bool {
		figures, err := v.figures()
		return err == nil && strings.Contains(figures, "\ndormouse_store_full 1\n")
	})
	if err == nil && publish5(c) == 0 {
		err = errors.New("acknowledged without room")
	}
	err = errors.Join(err, within("QoS 0", func() bool { return publish3(flow, 0) == nil }))
	if err != nil {
		empty()
	}
	return empty, err
}

// startsWithRoom sees that it says why it does not start without, and starts.
func (v *victim) startsWithRoom(empty func()) error {
	if err := v.start(); err != nil {
		return err
	}
	if err := v.await(); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		return fmt.Errorf("started without room: %w", err)
	}
	empty()
	return errors.Join(v.start(), v.await())
}

// refuses fills the disk and waits until each client, connected before, is
// refused in his way, and QoS 0 flows all the same. The disk stays full until empty.
func (v *victim) refuses(p *plan, leave int64) (empty func(), err error) {
	five, err := connect5(v.tcp)
	if err != nil {
		return nil, err
	}
	defer five.conn.Close()
	flow, err := connect3(v.tcp, "flow")
	if err != nil {
		return nil, err
	}
	defer flow.Close()
	var three []net.Conn // to each, one end
	for i := range 8 {
		c, err := connect3(v.tcp, fmt.Sprint("three", i))
		if err != nil {
			return nil, err
		}
		defer c.Close()
		three = append(three, c)
	}
	p.h.mu.Lock()
	p.h.mayRefuse = true
	before := p.h.refused
	p.h.mu.Unlock()
	empty = v.disk.fill(leave)
	err = errors.Join(
		within("PUBACK with congestion to a sensor", func() bool {
			p.h.mu.Lock()
			defer p.h.mu.Unlock()
			return p.h.refused > before
		}),
		within("PUBACK with quota exceeded to an MQTT 5 client", func() bool { return publish5(five) == 0x97 }),
		within("the end of the connection of an MQTT 3.1.1 client", func() bool {
			if len(three) == 0 {
				return false
			}
			c := three[0]
			three = three[1:]
			return errors.Is(publish3(c, 1), io.EOF)
		}),
		within("QoS 0", func() bool { return publish3(flow, 0) == nil }))
	if err != nil {
		empty()
	}
	return empty, err
}

// takes waits until each is heard again.
func (v *victim) takes(p *plan) error {
	before := p.h.ackedTo("sensor")
	err := errors.Join(
		within("PUBACK to an MQTT 5 client", func() bool {
			c, err := connect5(v.tcp)
			if err != nil {
				return false
			}
			defer c.conn.Close()
			return publish5(c) == 0
		}),
		within("PUBACK to an MQTT 3.1.1 client", func() bool {
			c, err := connect3(v.tcp, "three")
			if err != nil {
				return false
			}
			defer c.Close()
			return publish3(c, 1) == nil
		}),
		within("PUBACK to sensors", func() bool { return p.h.ackedTo("sensor") >= before+10 }))
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.h.mayRefuse = false
	return err
}

// within has what come in time.
func within(what string, done func() bool) error {
	if !soon(done) {
		return fmt.Errorf("%s does not come", what)
	}
	return nil
}

// ackedTo is how many messages of those so named were acknowledged.
func (h *history) ackedTo(name string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.publications {
		if p.acked != 0 && strings.HasPrefix(p.who, name) {
			n++
		}
	}
	return n
}

// A five is an MQTT 5 client.
type five struct {
	*paho.Client
	conn net.Conn
}

func connect5(address string) (*five, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	c := paho.NewClient(paho.ClientConfig{Conn: conn})
	if _, err := c.Connect(ctx, &paho.Connect{ClientID: "five", KeepAlive: 60, CleanStart: true}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &five{c, conn}, nil
}

// publish5 is the reason code that a message at QoS 1 which is to be kept is
// answered with, or 0xff if there is none in time.
func publish5(c *five) byte {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	r, err := c.Publish(ctx, &paho.Publish{Topic: "probe", QoS: 1, Retain: true, Payload: []byte("5")})
	switch {
	case r != nil:
		return r.ReasonCode
	case err != nil:
		return 0xff
	}
	return 0
}

// connect3 returns the connection of an MQTT 3.1.1 client that has subscribed
// to its own id.
func connect3(address, id string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion, connect.ClientIdentifier, connect.CleanSession, connect.Keepalive = "MQTT", 4, id, true, 60
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{"flow"}, []byte{0}
	if err := errors.Join(ask3(conn, connect), ask3(conn, subscribe)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// publish3 publishes on a connection of connect3: at QoS 1 what is to be kept
// and acknowledged, and at QoS 0 what is to come back.
func publish3(conn net.Conn, qos byte) error {
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.TopicName, publish.Qos, publish.Payload = "flow", qos, []byte("3")
	if qos > 0 {
		publish.TopicName, publish.Retain, publish.MessageID = "probe", true, 2
	}
	return ask3(conn, publish)
}

// ask3 sends p and awaits an answer.
func ask3(conn net.Conn, p packets.ControlPacket) error {
	conn.SetDeadline(time.Now().Add(probeTime))
	if err := p.Write(conn); err != nil {
		return err
	}
	_, err := packets.ReadPacket(conn)
	return err
}
