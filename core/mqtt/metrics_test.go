package mqtt

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt")

// TestMetrics pins the names of the figures, which dashboards rely on.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Each(New(core.New(core.DefaultOptions()), DefaultOptions()), func(name, help, label string, value uint64) {
		if !strings.HasSuffix(help, ".") {
			t.Errorf("the help of %s is %q", name, help)
		}
		if value != 0 {
			t.Errorf("%s %s is %d when nothing has come to pass", name, label, value)
		}
		fmt.Fprintln(&b, strings.TrimSpace(name+" "+label))
	})
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the figures are\n%s\nand %s says\n%s", b.String(), golden, want)
	}
}

// TestMetricsTell what comes to pass, each thing in its place.
func TestMetricsTell(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 5, "p", nil)
	p.raw("10 00")
	p.expectEnd()
	await(t, "the client to be gone", func() bool { return b.server.Stats().Connections == 0 })
	_, ack := b.tryConnect(t, 5, "p", func(pk *packets.Packet) { pk.Properties.AuthenticationMethod = "SCRAM" })
	if ack.ReasonCode != packets.ErrBadAuthenticationMethod.Code {
		t.Errorf("CONNACK 0x%02x, want 0x8c", ack.ReasonCode)
	}
	await(t, "the client to be gone", func() bool { return b.server.Stats().Connections == 0 })
	want := map[string]uint64{
		`dormouse_mqtt_connections_accepted_total`:                        2,
		`dormouse_mqtt_connections_closed_total reason="protocol"`:        1,
		`dormouse_mqtt_connections_refused_total reason="authentication"`: 1,
		`dormouse_mqtt_packets_received_total`:                            2,
		`dormouse_mqtt_packets_sent_total`:                                3,
	}
	Each(b.server, func(name, _, label string, n uint64) {
		key := strings.TrimSpace(name + " " + label)
		if n != want[key] && !strings.Contains(name, "bytes") {
			t.Errorf("%s is %d, want %d", key, n, want[key])
		}
	})
}

// TestTraffic: packets and octets are counted both ways, as they are.
func TestTraffic(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	p := b.connect(t, 4, "p", nil)
	p.subscribe(1, "q")
	p.publish("q", "one", 1, 1)
	p.expect(packets.Puback)
	p.expectMessage("q one 1 1")
	p.ack(packets.Puback, 1)
	p.ping()
	p.disconnect()
	await(t, "the client to be gone", func() bool { return b.server.Stats().Connections == 0 })
	s := b.server.Stats()
	// CONNECT, SUBSCRIBE, PUBLISH, PUBACK, PINGREQ, DISCONNECT
	if want := (Traffic{6, 15 + 8 + 10 + 4 + 2 + 2}); s.Received != want {
		t.Errorf("received %+v, want %+v", s.Received, want)
	}
	// CONNACK, SUBACK, PUBACK, PUBLISH, PINGRESP
	if want := (Traffic{5, 4 + 5 + 4 + 10 + 2}); s.Sent != want {
		t.Errorf("sent %+v, want %+v", s.Sent, want)
	}
}
