package mqtt

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// TestConnectionLimits: too many connections are closed at once, and the log
// says for which limit; those there are stay, and a place that falls free is
// given away again.
func TestConnectionLimits(t *testing.T) {
	for _, tt := range []struct {
		setting string
		of      func(*Options) *int
		counted func(Refusals) uint64
	}{
		{"limits.max_connections", func(o *Options) *int { return &o.MaxConnections }, func(r Refusals) uint64 { return r.Full }},
		{"limits.max_connections_per_ip", func(o *Options) *int { return &o.MaxConnectionsPerIP }, func(r Refusals) uint64 { return r.PerIP }},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			var log transcript
			b := start(t, func(co *coreOptions, o *Options) { logTo(&log)(co, o); *tt.of(o) = 2 })
			first, second := b.connect(t, 4, "first", nil), b.connect(t, 4, "second", nil)
			b.dial(t).expectEnd()
			if r := b.server.Stats().Refused; tt.counted(r) != 1 || r.Full+r.PerIP != 1 {
				t.Errorf("refused: %+v, want one", r)
			}
			await(t, "the log to name the limit", func() bool { return strings.Contains(log.String(), `"limit":"`+tt.setting+`"`) })
			first.ping()
			second.disconnect()
			await(t, "a place to fall free", func() bool { return b.server.Stats().Connections == 1 })
			b.canary(t)
		})
	}
}

// TestServeStops: when its context is done, nobody is let in any more, and who
// is there stays until Close.
func TestServeStops(t *testing.T) {
	s := New(core.New(core.DefaultOptions()), DefaultOptions())
	addr, err := s.Listen(ListenerConfig{Name: "test", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen(ListenerConfig{Name: "again", Address: addr.String()}); err == nil {
		t.Error("an address was opened twice")
	}
	b := &broker{server: s, addr: addr.String()}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() { s.Serve(ctx); close(served) }()
	p := b.connect(t, 5, "p", nil)
	cancel()
	<-served
	if c, err := net.Dial("tcp", b.addr); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	p.ping()
	b.close(t)
	if code := p.expectEnd(); code != 0x8b {
		t.Errorf("DISCONNECT 0x%02x, want 0x8b", code)
	}
	if _, err := s.Listen(ListenerConfig{Name: "late", Address: "127.0.0.1:0"}); err == nil {
		t.Error("a server that is closed has opened a port")
	}
}

// TestCloseWhileConnecting: however far clients have come when the server
// stops, nobody is left.
func TestCloseWhileConnecting(t *testing.T) {
	for range 10 {
		b := start(t, nil)
		connect := (&peer{t: t, version: 5}).encode(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Connect},
			Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "late", Clean: true},
		})
		var coming sync.WaitGroup
		for range 8 {
			coming.Go(func() {
				for {
					c, err := net.Dial("tcp", b.addr)
					if err != nil {
						return // closed
					}
					c.Write(connect)
					c.(*net.TCPConn).CloseWrite()
					c.SetDeadline(time.Now().Add(patience))
					io.Copy(io.Discard, c)
					c.Close()
				}
			})
		}
		await(t, "clients to come", func() bool { return b.server.Stats().Accepted > 50 })
		b.close(t)
		coming.Wait()
		if s := b.core.Stats(); s.Connected != 0 || b.server.Stats().Connections != 0 {
			t.Errorf("%d clients are left in core and %d connections, want none", s.Connected, b.server.Stats().Connections)
		}
	}
}
