package e2e

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"

	"dormouse/mqttsn"
)

// A socket is a UDP address from which sensors speak: one directly, any
// number through the forwarder that the socket then is.
type socket struct {
	t    testing.TB
	conn *net.UDPConn
	dtls net.Conn // instead of conn, if it is not nil

	mu    sync.Mutex
	inbox map[string]chan mqttsn.Packet // by wireless node id; "" without an envelope
}

// socket opens an address.
func (b *broker) socket() *socket { return b.socketAt(nil) }

// socketAt is socket for a local address.
func (b *broker) socketAt(local *net.UDPAddr) *socket {
	b.t.Helper()
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(b.udp))
	if err != nil {
		b.t.Fatal(err)
	}
	s := &socket{t: b.t, conn: conn, inbox: make(map[string]chan mqttsn.Packet)}
	b.t.Cleanup(func() { conn.Close() })
	go s.read()
	return s
}

// read sorts what arrives by node until the socket is closed.
func (s *socket) read() {
	for buf := make([]byte, 65536); ; {
		n, err := s.conn.Read(buf)
		switch {
		case n > 0:
			theWire.record(addrOf(s.conn), false, buf[:n])
			s.sort(bytes.Clone(buf[:n]))
		case err != nil && strings.Contains(err.Error(), "closed"):
			return // any other error tells that the broker is gone
		}
	}
}

// sort hands one datagram to the sensor that it is for.
func (s *socket) sort(datagram []byte) {
	node, inner := "", datagram
	if mqttsn.Encapsulated(mqttsn.V12, datagram) {
		envelope, rest, err := mqttsn.Unwrap(mqttsn.V12, datagram)
		if err != nil {
			s.t.Errorf("the broker sent %x: %v", datagram, err)
			return
		}
		node, inner = string(envelope.Node), rest
	}
	p, err := mqttsn.Decode(mqttsn.V12, inner)
	if err != nil {
		s.t.Errorf("the broker sent %x: %v", datagram, err)
		return
	}
	s.inboxOf(node) <- p
}

func (s *socket) inboxOf(node string) chan mqttsn.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inbox[node] == nil {
		s.inbox[node] = make(chan mqttsn.Packet, 4096)
	}
	return s.inbox[node]
}

// send sends a well-formed datagram.
func (s *socket) send(datagram []byte) {
	s.t.Helper()
	if s.dtls != nil {
		s.dtls.Write(datagram)
		return
	}
	theWire.record(addrOf(s.conn), true, datagram)
	s.conn.Write(datagram)
}

// sendMalformed sends octets that no dissector is to be asked about. They are
// in hex; blanks and bars are ignored.
func (s *socket) sendMalformed(octets string) {
	s.t.Helper()
	theWire.recordMalformed()
	s.conn.Write(unhex(s.t, octets))
}

// unhex reads octets in hex; blanks and bars are ignored.
func unhex(t testing.TB, octets string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(octets))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
