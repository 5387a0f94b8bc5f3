package mqtt

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// A place is an end of a pipe that has come from an address.
type place struct {
	net.Conn
	from string
}

func (p place) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", p.from)
	if err != nil {
		panic(err)
	}
	return a
}

// from admits a connection from an address, over a pipe.
func (b *broker) from(t testing.TB, address string) *peer {
	client, socket := net.Pipe()
	b.server.admit(&listener{name: "pipe"}, place{socket, address})
	p := newPeer(t, client)
	p.SetDeadline(time.Time{}) // in virtual time a wait in vain is noticed at once
	return p
}

// inVirtualTime runs a broker without a port, whose peers come by from.
func inVirtualTime(t *testing.T, change func(*core.Options, *Options), f func(*testing.T, *broker)) {
	synctest.Test(t, func(t *testing.T) {
		co, o := core.DefaultOptions(), DefaultOptions()
		change(&co, &o)
		b := &broker{core: core.New(co)}
		b.server = New(b.core, o)
		f(t, b)
		b.close(t)
	})
}

// TestConnectRate: those that come too fast from beyond are closed at once and
// counted; those from this machine are let in; and a little later the next.
func TestConnectRate(t *testing.T) {
	t.Parallel()
	set := func(_ *core.Options, o *Options) { o.ConnectRate = 2 }
	inVirtualTime(t, set, func(t *testing.T, b *broker) {
		hello := func(address string) bool {
			p := b.from(t, address)
			p.version = 4
			p.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Connect},
				Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: address, Clean: true},
			})
			_, err := p.next()
			return err == nil
		}
		say := func(want string, addresses ...string) {
			t.Helper()
			var got []string
			for _, a := range addresses {
				got = append(got, fmt.Sprint(hello(a)))
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("let in: %s; want %s", s, want)
			}
		}
		say("true true false", "192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.3:3")
		say("true true true", "127.0.0.1:4", "[::1]:5", "127.7.7.7:6")
		say("false", "192.0.2.7:7")
		time.Sleep(500 * time.Millisecond)
		say("true false", "192.0.2.8:8", "192.0.2.9:9")
		if n := b.server.Stats().Refused.Rate; n != 3 {
			t.Errorf("%d are counted, want 3", n)
		}
	})
}

// TestHostile28Trickle: a CONNECT whose octets come one by one gets no more
// time than one that does not come.
func TestHostile28Trickle(t *testing.T) {
	t.Parallel()
	set := func(_ *core.Options, o *Options) { o.ConnectTimeout = 5 * time.Second }
	inVirtualTime(t, set, func(t *testing.T, b *broker) {
		p := b.from(t, "192.0.2.1:1")
		began := time.Now()
		var trickle sync.WaitGroup
		trickle.Go(func() {
			for _, octet := range unhex(t, "10 0f 0004 4d515454 05 02 003c 00 0002 6372") {
				p.Write([]byte{octet})
				time.Sleep(time.Second - time.Millisecond)
			}
		})
		p.expectEnd()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the connection is closed after %v, want 5 s", took)
		}
		if n := b.server.Stats().Refused.Timeout; n != 1 {
			t.Errorf("%d are counted, want 1", n)
		}
		trickle.Wait()
	})
}

// TestPublishRate: a client that publishes faster than it may is read more
// slowly, loses nothing, and is not taken to be silent meanwhile.
func TestPublishRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		rate    PublishRate
		payload int
		want    time.Duration // until ten messages are acknowledged
		held    uint64
	}{
		{"any", PublishRate{}, 1, 0, 0},
		{"2 messages", PublishRate{Messages: 2}, 1, 4 * time.Second, 8},
		{"messages and bytes", PublishRate{Messages: 2, Bytes: 1 << 20}, 1, 4 * time.Second, 8},
		{"200 bytes", PublishRate{Bytes: 200}, 99, 4 * time.Second, 8},
		{"a message of more than a second", PublishRate{Bytes: 100}, 299, 29 * time.Second, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := func(_ *core.Options, o *Options) { o.PublishRate = tt.rate }
			inVirtualTime(t, set, func(t *testing.T, b *broker) {
				p := b.from(t, "192.0.2.1:1")
				p.version = 4
				began := time.Now()
				go func() {
					p.send(packets.Packet{
						FixedHeader: packets.FixedHeader{Type: packets.Connect},
						Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "p", Clean: true, Keepalive: 1},
					})
					for n := range uint16(10) {
						p.publish("q", strings.Repeat("x", tt.payload), 1, n+1)
					}
					p.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
				}()
				p.expect(packets.Connack)
				for n := range uint16(10) {
					if ack := p.expect(packets.Puback); ack.PacketID != n+1 {
						t.Fatalf("PUBACK for %d, want %d", ack.PacketID, n+1)
					}
				}
				if took := time.Since(began); took != tt.want {
					t.Errorf("ten messages took %v, want %v", took, tt.want)
				}
				p.expect(packets.Pingresp)
				if n := b.server.Stats().Throttled; n != tt.held {
					t.Errorf("%d messages are counted as held back, want %d", n, tt.held)
				}
			})
		})
	}
}

// TestPublishRateEnds: a client that is held back is gone as soon as any other
// when the server stops.
func TestPublishRateEnds(t *testing.T) {
	t.Parallel()
	set := func(_ *core.Options, o *Options) { o.PublishRate.Bytes = 1 }
	inVirtualTime(t, set, func(t *testing.T, b *broker) {
		p := b.from(t, "192.0.2.1:1")
		p.version = 5
		p.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Connect},
			Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "p", Clean: true},
		})
		p.expect(packets.Connack)
		p.publish("q", strings.Repeat("x", 1000), 0, 0)
		synctest.Wait()
		began := time.Now()
		go b.close(t)
		if code := p.expectEnd(); code != packets.ErrServerShuttingDown.Code {
			t.Errorf("DISCONNECT 0x%02x, want 0x8b", code)
		}
		synctest.Wait()
		if n, took := b.server.Stats().Connections, time.Since(began); n != 0 || took > linger {
			t.Errorf("%d connections are left after %v", n, took)
		}
	})
}
