package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMosquittoBridge: a stock Mosquitto that is told where we are and which
// topics carries messages both ways, between its clients and ours and sensors,
// once each, and retained ones as such. When we have been away it comes back by
// itself. Under $SYS it says how it is.
func TestMosquittoBridge(t *testing.T) {
	t.Parallel()
	for version, setting := range map[string]string{
		"3.1":   "bridge_protocol_version mqttv31",
		"3.1.1": "bridge_protocol_version mqttv311", // its default
		"5":     "bridge_protocol_version mqttv50",
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			states := b.mosquittoSub(t, "$SYS/broker/connection/+/state", 1)
			there, daemon := mosquitto(t, "connection dormouse", "address "+b.tcp.String(), "topic plant/# both 1",
				"remote_clientid plant", "restart_timeout 1", setting)
			want(t, states.receive(), message{"$SYS/broker/connection/plant/state", "1", 1, false})

			theirs, ours := mosquittoSub(t, there, "plant/#", 1), b.mosquittoSub(t, "plant/#", 1)
			s := b.sensor("sensor")
			s.connect(true)
			s.subscribe("plant/valve", 1)
			meter := s.register("plant/meter")
			for i := range 20 {
				to, from := message{"plant/valve", fmt.Sprint("open ", i), 1, false}, message{"plant/meter", fmt.Sprint(i), 1, false}
				mosquittoPub(t, there, to.topic, to.payload, to.qos)
				want(t, theirs.receive(), to)
				want(t, ours.receive(), to)
				want(t, s.receive(), to)
				s.publish(meter, from.payload, from.qos, false)
				want(t, ours.receive(), from)
				want(t, theirs.receive(), from)
			}
			for _, origin := range []netip.AddrPort{there, b.tcp} {
				name := "of " + origin.String()
				mosquittoPub(t, origin, "plant/name", name, 1, "-r")
				want(t, ours.receive(), message{"plant/name", name, 1, false})
				want(t, theirs.receive(), message{"plant/name", name, 1, false})
				want(t, b.mosquittoSub(t, "plant/name", 1).receive(), message{"plant/name", name, 1, true})
				want(t, mosquittoSub(t, there, "plant/name", 1).receive(), message{"plant/name", name, 1, true})
			}

			b.stop()
			b = start(t, "listeners.mqtt.address="+b.tcp.String())
			states = b.mosquittoSub(t, "$SYS/broker/connection/+/state", 1)
			if m := states.receive(); m.payload != "1" {
				t.Errorf("after a restart the bridge says %v, want 1", m)
			}
			ours = b.mosquittoSub(t, "plant/valve", 1)
			mosquittoPub(t, there, "plant/valve", "shut", 1)
			want(t, theirs.receive(), message{"plant/valve", "shut", 1, false})
			want(t, ours.receive(), message{"plant/valve", "shut", 1, false})
			b.mosquittoPub(t, "plant/meter", "last", 1)
			want(t, theirs.receive(), message{"plant/meter", "last", 1, false})

			daemon.kill()
			for states.receive().payload != "0" { // it may have said 1 twice
			}
		})
	}
}

// mosquitto runs a Mosquitto with these lines in its configuration until the
// test ends, and returns where it listens.
func mosquitto(t testing.TB, settings ...string) (netip.AddrPort, *program) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	for range 5 { // somebody may be faster to take a port that was free
		at := freeTCP(t)
		lines := append([]string{fmt.Sprintf("listener %d %s", at.Port(), at.Addr()), "allow_anonymous true", "log_dest stdout"}, settings...)
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		daemon := spawn(t, "stdbuf", "-oL", "mosquitto", "-c", file)
		for line := range daemon.lines {
			if strings.HasSuffix(line, " running") {
				return at, daemon
			}
			t.Log(line)
		}
	}
	t.Fatal("mosquitto does not run")
	panic("unreachable")
}

// freeTCP returns an address on loopback that nobody listens on.
func freeTCP(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
