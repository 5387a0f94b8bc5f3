package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dormouse/mqttsn"
)

// gateway answers datagrams on loopback with what answer says of each, until it
// is stopped.
func gateway(t *testing.T, answer func(from netip.AddrPort, p mqttsn.Packet) []mqttsn.Packet) (at netip.AddrPort, stop func()) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			p, err := mqttsn.Decode(mqttsn.V12, in[:n])
			if err != nil {
				t.Errorf("%v says %x: %v", from, in[:n], err)
				return
			}
			for _, a := range answer(from, p) {
				b, _ := mqttsn.Append(nil, mqttsn.V12, a)
				conn.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), func() {
		conn.Close()
		<-ended
	}
}

// TestFleet: each sensor does all steps, in order, and asks again where nothing
// is heard; what the gateway asks of it in between is answered.
func TestFleet(t *testing.T) {
	t.Parallel()
	const sensors, deaf = 50, 10 // as many are not heard at first
	said := make(map[netip.AddrPort][]mqttsn.Type)
	unheard := make(map[netip.AddrPort]bool)
	at, stop := gateway(t, func(from netip.AddrPort, p mqttsn.Packet) []mqttsn.Packet {
		if !unheard[from] && len(unheard) < deaf {
			unheard[from] = true
			return nil
		}
		said[from] = append(said[from], p.Type())
		switch p := p.(type) {
		case *mqttsn.Connect:
			return []mqttsn.Packet{&mqttsn.Connack{}}
		case *mqttsn.Subscribe:
			return []mqttsn.Packet{
				&mqttsn.Publish{QoS: 1, ID: 7, Topic: mqttsn.Topic{ID: 1}, Payload: []byte("early")},
				&mqttsn.Suback{ID: p.ID, TopicID: 1},
			}
		case *mqttsn.Disconnect:
			return []mqttsn.Packet{&mqttsn.Disconnect{}}
		}
		return nil
	})
	f, err := newFleet(t.Context(), at, sensors)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	messages := 0
	f.onMessage = func(int32, *mqttsn.Publish) { messages++ }
	o := f.perform(fallAsleep)
	stop()
	if f.err != nil || o.done != sensors || o.again < deaf || messages < sensors || o.took.TotalCount() != sensors {
		t.Fatalf("%d of %d are done, %d asked again, with %d messages: %v", o.done, sensors, o.again, messages, f.err)
	}
	if len(said) != sensors {
		t.Errorf("the gateway heard %d sensors, want %d", len(said), sensors)
	}
	for from, types := range said {
		if types[0] != mqttsn.TypeConnect || !slices.Contains(types, mqttsn.TypePuback) || !slices.Contains(types, mqttsn.TypeDisconnect) {
			t.Errorf("%v said %v", from, types)
		}
	}
}

// TestFleetRefused: what a gateway refuses is an error that says what.
func TestFleetRefused(t *testing.T) {
	t.Parallel()
	at, stop := gateway(t, func(netip.AddrPort, mqttsn.Packet) []mqttsn.Packet {
		return []mqttsn.Packet{&mqttsn.Connack{Reason: mqttsn.NotSupported}}
	})
	defer stop()
	f, err := newFleet(t.Context(), at, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if o := f.perform(fallAsleep); o.done != 0 || f.err == nil || !strings.Contains(f.err.Error(), "CONNACK") {
		t.Errorf("%d are done: %v", o.done, f.err)
	}
}

// TestMailMissing: a gateway that keeps a message from a sleeper is found out.
func TestMailMissing(t *testing.T) {
	t.Parallel()
	at, stop := gateway(t, func(netip.AddrPort, mqttsn.Packet) []mqttsn.Packet { return []mqttsn.Packet{&mqttsn.Pingresp{}} })
	defer stop()
	f, err := newFleet(t.Context(), at, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	m := newMail(&asleep{sensors: f}, f.everybody())
	o := f.perform(m.wake(0))
	if err := m.whole(); o.done != 3 || err == nil || errors.Is(err, f.err) || !strings.Contains(err.Error(), "3 of 3") {
		t.Errorf("%d have woken: %v", o.done, err)
	}
}

// TestFleetInterrupted: a task that would take for ever ends when it is to.
func TestFleetInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	at, stop := gateway(t, func(netip.AddrPort, mqttsn.Packet) []mqttsn.Packet {
		interrupt()
		return nil
	})
	defer stop()
	f, err := newFleet(ctx, at, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if o := f.perform(fallAsleep); o.done != 0 || !errors.Is(f.err, context.Canceled) {
		t.Errorf("%d are done: %v", o.done, f.err)
	}
}
