package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// otherHost opens an address of another host than [broker.socket] does, as far
// as the broker can tell.
func (b *broker) otherHost() *socket {
	b.t.Helper()
	return b.socketAt(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
}

// TestHostile47UnderEachPolicy: what PINGREQ, DISCONNECT and CONNECT in the name
// of a sleeper bring a thief on another host, and whether the sleeper still has
// what is its own. Others notice nothing, and the log tells.
func TestHostile47UnderEachPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"never", "authenticated", "always"} {
		for _, way := range []string{"PINGREQ", "DISCONNECT", "CONNECT", "clean CONNECT"} {
			t.Run(policy+"/"+way, func(t *testing.T) {
				t.Parallel()
				b := attacked(t, "mqttsn.address_migration="+policy)
				s := b.sensor("sleeper")
				s.connect(false)
				s.subscribe("cmd", 1)
				s.sleep(time.Hour)
				b.publish(t, "cmd", "secret", 1)
				thief := b.otherHost().sensor(b, "sleeper", "")
				thief.topics = s.topics
				stolen := way == "PINGREQ" && policy == "always" || strings.HasSuffix(way, "CONNECT") && policy != "never"
				switch {
				case way == "PINGREQ" && stolen:
					if got := thief.wake(); len(got) != 1 || got[0].payload != "secret" {
						t.Errorf("it is said to bring the message, and brings %v", got)
					}
				case way == "PINGREQ":
					thief.send(&mqttsn.Pingreq{ClientID: []byte("sleeper")})
					expect[*mqttsn.Disconnect](thief)
					b.wantLogged(t, "hijack_attempt", 1)
				case way == "DISCONNECT":
					thief.disconnect()
				case stolen:
					thief.connect(way == "clean CONNECT")
				default:
					thief.send(&mqttsn.Connect{CleanSession: way == "clean CONNECT", ProtocolID: 1, KeepAlive: time.Minute, ClientID: []byte("sleeper")})
					thief.wantConnack(mqttsn.Congestion)
					b.wantLogged(t, "hijack_attempt", 1)
				}
				if !stolen {
					thief.hearsNothing()
					if got := s.wake(); len(got) != 1 || got[0].payload != "secret" {
						t.Errorf("the wake brings %v, want the message", got)
					}
				}
				b.settle(t)
			})
		}
	}
}

// TestHostile16SensorsSession: where users have passwords, none of them has the
// session of a sensor by its client id, to resume it or to have it forgotten.
func TestHostile16SensorsSession(t *testing.T) {
	t.Parallel()
	b := attacked(t, knowing(passwords(t, "mallory", "pw")))
	s := b.sensor("mallory")
	s.connect(false)
	s.subscribe("cmd", 1)
	s.sleep(time.Hour)
	pub := b.mqtt3(t, "pub", nil)
	pub.publish("cmd", "secret", 1, false)
	if code := b.login(t, "mallory", "pw"); code != 0x87 {
		t.Errorf("a user with the client id of a sensor is told 0x%02x, want 0x87", code)
	}
	if got := s.wake(); len(got) != 1 || got[0].payload != "secret" {
		t.Errorf("the wake brings %v, want the message", got)
	}
}

// TestHostile46Limits: on loopback, too, if that is not exempt, a network gets so
// many answers and no more, here the one that its sensor has had; which is
// connected by then, and does not notice.
func TestHostile46Limits(t *testing.T) {
	t.Parallel()
	b := attacked(t, "limits.unauthenticated_udp.exempt=[]", "limits.unauthenticated_udp.responses_per_prefix=1/m")
	s := b.socket().sensor(b, "sensor", "")
	s.connect(true)
	stranger := b.socket().sensor(b, "stranger", "")
	for range 1000 {
		stranger.send(&mqttsn.Pingreq{})
	}
	s.publish(s.register("up"), "still here", 1, false)
	b.wantFigure(t, "strangers/suppressed", 1000)
	if n := len(stranger.in); n > 0 {
		t.Errorf("beyond the share of its network a stranger got %d answers", n)
	}
}
