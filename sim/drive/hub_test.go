package drive

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"

	"dormouse/mqttsn"
	"dormouse/mqttsn/clock"
)

// A hub is the least of a gateway and a broker that a fleet can talk to which
// stays awake: everything is answered at once, and nothing is sent again.
type hub struct {
	sessions map[netip.AddrPort]*session
	commands map[string]*session // by the filter subscribed to
	hear     func(string, []byte, byte, bool)
	answer   func(to netip.AddrPort, b []byte)
	decoder  mqttsn.Decoder
	buf      []byte
}

type session struct {
	peer  netip.AddrPort
	names []string // of topics, by id less one
	last  uint16
}

func newHub() *hub {
	return &hub{sessions: make(map[netip.AddrPort]*session), commands: make(map[string]*session)}
}

func (h *hub) say(to netip.AddrPort, p mqttsn.Packet) {
	b, err := mqttsn.Append(h.buf[:0], mqttsn.V12, p)
	if err != nil {
		panic(err)
	}
	h.buf = b
	h.answer(to, b)
}

func (h *hub) handle(from netip.AddrPort, b []byte) {
	packet, err := h.decoder.Decode(mqttsn.V12, b)
	if err != nil {
		panic(err)
	}
	s := h.sessions[from]
	if s == nil {
		s = &session{peer: from}
		h.sessions[from] = s
	}
	switch p := packet.(type) {
	case *mqttsn.Connect:
		h.say(from, &mqttsn.Connack{})
	case *mqttsn.Register:
		h.say(from, &mqttsn.Regack{TopicID: s.topic(string(p.Name)), ID: p.ID})
	case *mqttsn.Subscribe:
		h.commands[string(p.Topic.Name)] = s
		h.say(from, &mqttsn.Suback{TopicID: s.topic(string(p.Topic.Name)), QoS: p.QoS, ID: p.ID})
	case *mqttsn.Publish:
		h.hear(s.names[p.Topic.ID-1], p.Payload, byte(p.QoS), false)
		if p.QoS == 1 {
			h.say(from, &mqttsn.Puback{TopicID: p.Topic.ID, ID: p.ID})
		}
	case *mqttsn.Pingreq:
		h.say(from, &mqttsn.Pingresp{})
	case *mqttsn.Disconnect:
		h.say(from, &mqttsn.Disconnect{})
	}
}

// topic returns the id of a name.
func (s *session) topic(name string) uint16 {
	for i, n := range s.names {
		if n == name {
			return uint16(i + 1)
		}
	}
	s.names = append(s.names, name)
	return uint16(len(s.names))
}

func (h *hub) Hear(f func(string, []byte, byte, bool)) { h.hear = f }
func (h *hub) Subscribe(string, byte) error            { return nil }
func (h *hub) Close() error                            { return nil }

func (h *hub) Publish(topic string, b []byte, q byte, _ bool, done func(error)) {
	s := h.commands[topic]
	if s == nil {
		done(fmt.Errorf("nobody has subscribed to %s", topic))
		return
	}
	s.last++
	done(nil)
	h.say(s.peer, &mqttsn.Publish{QoS: mqttsn.QoS(q), ID: s.last, Payload: b,
		Topic: mqttsn.Topic{Kind: mqttsn.TopicNormal, ID: s.topic(topic)}})
}

// A village is a hub in virtual time.
type village struct {
	*hub
	now    clock.Time
	record func(now clock.Time, from netip.AddrPort, b []byte)
	sent   []letter
	octets []byte
}

type letter struct {
	to   netip.AddrPort
	a, b int // in octets
}

func newVillage() *village {
	v := &village{hub: newHub()}
	v.answer = func(to netip.AddrPort, b []byte) {
		a := len(v.octets)
		v.octets = append(v.octets, b...)
		v.sent = append(v.sent, letter{to, a, len(v.octets)})
	}
	return v
}

func (v *village) Step(now clock.Time)      { v.now = now }
func (v *village) Next() clock.Time         { return 0 }
func (v *village) Restart(clock.Time) error { return nil }

func (v *village) Receive(from netip.AddrPort, b []byte) {
	if v.record != nil {
		v.record(v.now, from, b)
	}
	v.handle(from, b)
}

func (v *village) Sent(yield func(netip.AddrPort, []byte) bool) {
	for _, l := range v.sent {
		yield(l.to, v.octets[l.a:l.b])
	}
	v.sent, v.octets = v.sent[:0], v.octets[:0]
}

// A town is a hub on a UDP socket.
type town struct {
	*hub
	mu  sync.Mutex
	udp *net.UDPConn
}

func newTown(t *testing.T) *town {
	t.Helper()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	udp.SetReadBuffer(16 << 20)
	w := &town{hub: newHub(), udp: udp}
	w.answer = func(to netip.AddrPort, b []byte) { udp.WriteToUDPAddrPort(b, to) }
	return w
}

func (w *town) target() netip.AddrPort { return w.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// serve answers until the socket is closed. Clients of a forwarder are told
// apart by an address made of their node id.
func (w *town) serve() {
	b := make([]byte, 2048)
	for {
		n, from, err := w.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.take(from, b[:n])
		w.mu.Unlock()
	}
}

func (w *town) take(from netip.AddrPort, b []byte) {
	if !mqttsn.Encapsulated(mqttsn.V12, b) {
		w.handle(from, b)
		return
	}
	e, inner, err := mqttsn.Unwrap(mqttsn.V12, b)
	if err != nil {
		panic(err)
	}
	node := netip.AddrPortFrom(netip.AddrFrom4([4]byte(e.Node)), from.Port())
	direct := w.answer
	w.answer = func(_ netip.AddrPort, b []byte) {
		out, err := mqttsn.Wrap(nil, mqttsn.V12, mqttsn.Envelope{Node: e.Node})
		if err != nil {
			panic(err)
		}
		direct(from, append(out, b...))
	}
	w.handle(node, inner)
	w.answer = direct
}

func (w *town) Publish(topic string, b []byte, q byte, retain bool, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hub.Publish(topic, b, q, retain, done)
}
