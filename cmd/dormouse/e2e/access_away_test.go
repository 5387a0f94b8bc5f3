package e2e

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// TestHostile18Away: what rules forbid by now does not come to those who were not
// there when that was so, from a reload or from a restart on: neither what had
// come for them before nor what came after. It is so for an MQTT client that has
// gone, for a Mosquitto whose bridge is down, for sensors that have disconnected
// or sleep, and for the member of a share, in whose place another has it. What is
// theirs they have.
func TestHostile18Away(t *testing.T) {
	t.Parallel()
	for name, killed := range map[string]bool{"reloaded": false, "killed and started": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := newRules(t, "allow: all, topic: '#'")
			data := filepath.Join(t.TempDir(), "data")
			b := onData(t, data, rules.setting(), "log.level=debug")
			gate := newGate(t, b.tcp.String())
			there, _ := mosquitto(t, "connection dormouse", "address "+gate.Addr().String(), "topic # in 1", "remote_clientid bridge",
				"cleansession false", "restart_timeout 1", "notifications false")
			bridged := mosquittoSub(t, there, "#", 1)
			for len(bridged.mail) == 0 { // until the bridge is up
				b.publish(t, "up", "", 0)
			}

			app := b.mqtt3(t, "app", keptSession)
			app.subscribe("secret/#", 1)
			app.subscribe("open/#", 1)
			kept5 := func(c *paho.Connect) {
				expiry := uint32(3600)
				c.CleanStart, c.Properties = false, &paho.ConnectProperties{SessionExpiryInterval: &expiry}
			}
			member := b.mqtt5(t, "member", kept5)
			member.subscribe("$share/g/secret/#", 1)
			gone, sleeper := b.sensor("gone"), b.sensor("sleeper")
			for _, s := range []*sensor{gone, sleeper} {
				s.connectFor(false, time.Hour)
				s.subscribe("secret/a", 1)
				s.subscribe("open/a", 1)
			}
			app.disconnect()
			member.disconnect()
			gate.shut()
			gone.disconnect()
			sleeper.sleep(time.Hour)
			b.wantLogged(t, "client_disconnected", 3)
			b.publish(t, "secret/a", "before", 1)
			b.publish(t, "open/a", "before", 1)

			deny := []string{"client: bystander, allow: all, topic: '#'", "deny: subscribe, topic: 'secret/#'", "allow: all, topic: '#'"}
			if killed {
				rules.write(deny...)
				b.process.Process.Kill()
				await(t, b.ended, "end of the broker")
				b = start(t, "data_dir="+data, rules.setting(), "listeners.mqtt.address="+b.tcp.String(), "listeners.sn.address="+b.udp.String())
				gone.b, sleeper.b = b, b
			} else {
				rules.reload(b, deny...)
			}
			bystander := b.mqtt5(t, "bystander", nil)
			bystander.subscribe("$share/g/secret/#", 1)
			b.publish(t, "secret/a", "after", 1)
			b.publish(t, "open/a", "after", 1)

			open := []message{{"open/a", "before", 1, false}, {"open/a", "after", 1, false}}
			app = b.mqtt3(t, "app", keptSession)
			for _, m := range open {
				want(t, app.receive(), m)
			}
			gone.connect(false)
			for _, m := range open {
				want(t, gone.receive(), m)
			}
			if mail := sleeper.wake(); len(mail) != 2 || mail[0] != open[0] || mail[1] != open[1] {
				t.Errorf("the sleeper wakes to %v, want %v", mail, open)
			}
			gate.open()
			for _, m := range open {
				for got := bridged.receive(); got != m; got = bridged.receive() {
					if got.topic != "up" {
						t.Errorf("over the bridge comes %v, want %v", got, m)
					}
				}
			}
			member = b.mqtt5(t, "member", kept5)
			for _, text := range []string{"before", "after"} {
				want(t, bystander.receive(), message{"secret/a", text, 1, false})
			}
			member.subscribe("open/marker", 1)
			bystander.subscribe("open/marker", 1)
			b.publish(t, "secret/b", "later", 1)
			b.publish(t, "open/marker", "later", 1)
			want(t, bystander.receive(), message{"secret/b", "later", 1, false})
			for _, s := range []interface{ receive() message }{app, member, bystander, bridged} {
				want(t, s.receive(), message{"open/marker", "later", 1, false})
			}
		})
	}
}

// A gate is between a bridge and us, and shut now and then.
type gate struct {
	net.Listener
	mu    sync.Mutex
	up    bool
	conns []net.Conn
}

func newGate(t testing.TB, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: l, up: true}
	t.Cleanup(func() {
		l.Close()
		g.shut()
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, near, far)
			up := g.up
			g.mu.Unlock()
			if !up {
				g.shut()
				continue
			}
			for _, c := range [2][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					io.Copy(c[0], c[1])
					c[0].Close()
				}()
			}
		}
	}()
	return g
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.up = true
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.up = false; len(g.conns) > 0; g.conns = g.conns[1:] {
		g.conns[0].Close()
	}
}
