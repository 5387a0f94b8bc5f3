package handshake

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	piondtls "github.com/pion/dtls/v3"

	"dormouse/mqttsn/transport/dtls/record"
)

var (
	gatewayAt = netip.MustParseAddrPort("192.0.2.1:8883")
	sensorAt  = netip.MustParseAddrPort("192.0.2.2:1000")
)

// A meeting is a handshake of p with a gateway that knows the key, and what was
// sent meanwhile.
type meeting struct {
	sensor, gateway *record.Association
	identity        string
	mu              sync.Mutex
	up, down        []int // octets of each datagram
}

func meet(t *testing.T, p *Proof) (*meeting, error) {
	t.Helper()
	m := new(meeting)
	var ours *Call
	var theirs *conn
	pass := func(sizes *[]int, deliver func([]byte)) func([]byte) {
		way := make(chan []byte, 64) // who sends does not wait for who receives, who may be sending, too
		go func() {
			for {
				select {
				case b := <-way:
					deliver(b)
				case <-t.Context().Done():
					return
				}
			}
		}()
		return func(b []byte) {
			m.mu.Lock()
			*sizes = append(*sizes, len(b))
			m.mu.Unlock()
			way <- bytes.Clone(b)
		}
	}
	id := record.ID{1, 2, 3}
	theirs = newConn(sensorAt, pass(&m.down, func(b []byte) { ours.Deliver(b) }))
	theirs.holding = false
	c := &Credentials{PSK: func(identity []byte) ([]byte, bool) { return key, string(identity) == "meter-1" }}
	var err error
	if ours, err = p.Begin(gatewayAt, pass(&m.up, func(b []byte) { theirs.deliver(b) })); err != nil {
		t.Fatal(err)
	}
	pion, err := piondtls.ServerWithOptions(theirs, theirs.peer, append(c.options(),
		piondtls.WithConnectionIDGenerator(func() []byte { return id[:] }))...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gateway := make(chan error, 1)
	go func() { gateway <- pion.HandshakeContext(ctx) }()
	m.sensor, err = ours.Run(ctx, time.Second)
	if err != nil {
		cancel()
		<-gateway
		return nil, err
	}
	if err := <-gateway; err != nil {
		return nil, err
	}
	agreed, err := agreementOf(pion, id)
	if err != nil {
		return nil, err
	}
	theirs.forget()
	pion.Close()
	m.gateway, m.identity = &agreed.Association, string(agreed.PSKIdentity)
	return m, nil
}

var key = bytes.Repeat([]byte{7}, 16)

// TestBegin: of a handshake both sides have an association, and each opens what
// the other seals.
func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		name      string
		proof     Proof
		octets    int // of six datagrams
		up, down  int // that a record adds
		namedByID bool
	}{
		{"with a connection id", Proof{Identity: "meter-1", Key: key}, 575, 38, 29, true},
		{"without", Proof{Identity: "meter-1", Key: key, WithoutCID: true}, 543, 29, 29, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := meet(t, &tt.proof)
			if err != nil {
				t.Fatal(err)
			}
			if m.identity != "meter-1" {
				t.Errorf("the gateway has met %q", m.identity)
			}
			octets := 0
			for _, n := range append(m.up, m.down...) {
				octets += n
			}
			if octets != tt.octets || len(m.up) != 3 || len(m.down) != 3 {
				t.Errorf("%d octets, up %v and down %v; want %d in three each", octets, m.up, m.down, tt.octets)
			}
			a, b := m.sensor, m.gateway
			b.Reserved = b.Suite.Limit()
			if b.HasCID != tt.namedByID || a.HasCID {
				t.Errorf("records have a connection id: up %v, down %v; want %v and none", b.HasCID, a.HasCID, tt.namedByID)
			}
			for _, way := range []struct {
				name     string
				from, to *record.Association
				overhead int
			}{{"up", a, b, tt.up}, {"down", b, a, tt.down}} {
				sealed, err := way.from.Seal(way.from.Ciphers(), nil, record.ApplicationData, []byte("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if got := len(sealed) - len("hello"); got != way.overhead {
					t.Errorf("%s: sealing adds %d octets, want %d", way.name, got, way.overhead)
				}
				r, _, err := record.Next(sealed, record.IDLength)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := way.to.Open(way.to.Ciphers(), r); err != nil || string(got.Octets) != "hello" {
					t.Errorf("%s: %q, %v", way.name, got.Octets, err)
				}
			}
		})
	}
}

// TestBeginWithWrongKey: nobody gets in with another's key.
func TestBeginWithWrongKey(t *testing.T) {
	if m, err := meet(t, &Proof{Identity: "meter-1", Key: bytes.Repeat([]byte{8}, 16)}); err == nil {
		t.Errorf("they have agreed on %v", m.sensor)
	}
}
