package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"dormouse/mqttsn"
)

// TestDrain: SIGTERM tells whom it concerns. An active sensor whose session
// ends with the broker gets DISCONNECT; sleepers and kept sessions get
// nothing; MQTT 5 clients get DISCONNECT 0x8B, 3.1.1 clients the end of the
// connection; no will is fired. start wants status 0 within ten seconds.
func TestDrain(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.settle(t)
	active, asleep, kept, gone := b.sensor("active"), b.sensor("asleep"), b.sensor("kept"), b.sensor("gone")
	active.connectWithWill(true, time.Minute, message{topic: "will/active", payload: "never"})
	asleep.connectWithWill(true, time.Minute, message{topic: "will/asleep", payload: "never"})
	asleep.sleep(time.Hour)
	kept.connect(false)
	gone.connect(true)
	gone.disconnect()
	client5 := b.mqtt5(t, "client 5", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "will/client", Payload: []byte("never")}
	})
	client5.subscribe("will/#", 0)
	client3 := b.mqtt3(t, "client 3", func(o *mqtt.ClientOptions) { o.SetWill("will/client", "never", 0, false) })

	if status := b.stop(); status != 0 {
		t.Fatalf("exit status %d, want 0 within 10 s", status)
	}
	expect[*mqttsn.Disconnect](active)
	if d := await(t, client5.goodbye, "DISCONNECT for MQTT 5"); d.ReasonCode != 0x8b {
		t.Errorf("DISCONNECT reason 0x%02x, want 0x8b, server shutting down", d.ReasonCode)
	}
	await(t, client3.lost, "end of the 3.1.1 connection")
	for _, s := range []*sensor{active, asleep, kept, gone} {
		b.wantNothingElse(t, s)
	}
	if n := len(client5.mail); n != 0 {
		t.Errorf("a will was fired: %v", <-client5.mail)
	}
}

// wantNothingElse proves that a broker which has ended has sent s nothing that
// s does not expect: a GWINFO sent now from its old address is next.
func (b *broker) wantNothingElse(t testing.TB, s *sensor) {
	t.Helper()
	ghost, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(b.udp))
	if err != nil {
		t.Fatal(err)
	}
	defer ghost.Close()
	if _, err := ghost.WriteToUDPAddrPort([]byte{0x03, 0x02, 0x01}, addrOf(s.sock.conn)); err != nil {
		t.Fatal(err)
	}
	expect[*mqttsn.Gwinfo](s)
}

// TestSecondStart: the ports are free again at once.
func TestSecondStart(t *testing.T) {
	t.Parallel()
	first := start(t)
	first.sensor("sensor").connect(true)
	first.settle(t)
	if status := first.stop(); status != 0 {
		t.Fatalf("exit status %d, want 0", status)
	}
	second := start(t, "listeners.mqtt.address="+first.tcp.String(), "listeners.sn.address="+first.udp.String())
	second.sensor("sensor").connect(true)
	second.settle(t)
}
