package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// This file is about who, elsewhere, may be a client that sleeps here: what
// plain UDP can keep from a thief under each policy, and what it cannot.

// robbed is a sleeper that owns a message, under a policy, and a client that
// must not notice what befalls it.
type robbed struct {
	*world
	app             *app
	sleeper, canary *sensor
}

func rob(t *testing.T, policy Migration) *robbed {
	w := newWorld(t, func(c *Config) { c.AddressMigration = policy })
	r := &robbed{world: w, app: w.app("app")}
	r.canary = w.at("10.0.0.9:7").connects("canary", true, time.Minute)
	r.canary.subscribes("canary", 1)
	r.sleeper = w.at("10.0.0.1:7").connects("sleeper", false, time.Minute)
	r.sleeper.subscribes("cmd", 1)
	r.sleeper.sleeps(time.Hour)
	r.app.publish("cmd", "secret", 1, false)
	return r
}

// unharmed checks that the sleeper has what is its own, and that nobody else
// has noticed anything.
func (r *robbed) unharmed() {
	r.t.Helper()
	r.sleeper.gets("").pings("sleeper").wantFlush("secret", "PINGRESP")
	r.app.publish("canary", "sings", 1, false)
	r.canary.wantFlush("sings", "")
}

func connect(id string, clean bool) *mqttsn.Connect {
	return &mqttsn.Connect{ProtocolID: 1, CleanSession: clean, KeepAlive: time.Minute, ClientID: []byte(id)}
}

// TestHostile47UnderEachPolicy: PINGREQ and DISCONNECT from elsewhere take
// nothing from a sleeper, unless the policy is that they may.
func TestHostile47UnderEachPolicy(t *testing.T) {
	for policy, name := range []string{Never: "never", Authenticated: "authenticated", Always: "always"} {
		for _, p := range []mqttsn.Packet{
			&mqttsn.Pingreq{ClientID: []byte("sleeper")}, &mqttsn.Pingreq{}, &mqttsn.Disconnect{}, &mqttsn.Disconnect{Duration: time.Hour},
			&mqttsn.Puback{ID: 1}, &mqttsn.Subscribe{ID: 1, Topic: mqttsn.Topic{Kind: mqttsn.TopicName, Name: []byte("#")}},
		} {
			r := rob(t, Migration(policy))
			thief := r.at("10.0.0.66:7").sends(p)
			ping, ok := p.(*mqttsn.Pingreq)
			if ok = ok && len(ping.ClientID) > 0; ok && Migration(policy) == Always {
				if thief.wantFlush("secret", "PINGRESP"); r.count("moves_total", "") != 1 {
					t.Errorf("%s: a move is not counted", name)
				}
				continue
			}
			thief.gets("DISCONNECT")
			if n := r.count("hijack_attempts_total", ""); (n == 1) != ok {
				t.Errorf("%s: %d attempts are counted for %+v", name, n, p)
			}
			r.unharmed()
		}
	}
}

// TestHostile48UnderEachPolicy: under never, CONNECT in a sleeper's name from
// another host is refused and seen, with a clean session or not; so is another
// client at the sleeper's address, who would have it forget where the sleeper
// is. Under the others plain UDP cannot tell a thief from a sensor with a new
// address: that one has the session, and the log says so.
func TestHostile48UnderEachPolicy(t *testing.T) {
	for _, from := range []string{"10.0.0.66:7", "10.0.0.66:7/0a", "10.0.0.1:7/0a"} {
		for _, clean := range []bool{false, true} {
			r := rob(t, Never)
			for range 3 {
				thief := r.at(from).sends(connect("sleeper", clean))
				if a := last[*mqttsn.Connack](thief); a.Reason != mqttsn.Congestion {
					t.Errorf("CONNECT from %s is answered by %v", from, a.Reason)
				}
				thief.sends(&mqttsn.Pingreq{ClientID: []byte("sleeper")}).gets("DISCONNECT")
			}
			r.sleeper.sends(connect("somebody else", true))
			if a := last[*mqttsn.Connack](r.sleeper); a.Reason != mqttsn.Congestion {
				t.Errorf("another client at the sleeper's address is answered by %v", a.Reason)
			}
			r.wantCount("connects_refused_total", "address", 4)
			r.wantCount("hijack_attempts_total", "", 7)
			r.unharmed()
		}
	}
	for _, policy := range []Migration{Authenticated, Always} {
		r := rob(t, policy)
		r.at("10.0.0.66:7").sends(connect("sleeper", false)).wantFlush("secret", "CONNACK")
		var told []string
		for _, n := range r.notices {
			if n.ClientID == "sleeper" {
				told = append(told, strings.TrimSpace(fmt.Sprint(n.Kind, " ", n.Remote, " ", strings.TrimPrefix(n.Reason.String(), "none"))))
			}
		}
		slices.Sort(told) // the shards of two addresses have no order
		if got, want := strings.Join(told, ", "), "client_asleep 10.0.0.1:7, client_connected 10.0.0.1:7, client_connected 10.0.0.66:7, client_gone 10.0.0.1:7 taken over"; got != want {
			t.Errorf("the log tells %s; want %s", got, want)
		}
	}
}

// TestNeverLetsGo: a client that restarts may have another port, one whose
// connection is over may be anywhere, and so may one that was never here.
func TestNeverLetsGo(t *testing.T) {
	r := rob(t, Never)
	r.at("10.0.0.1:8").sends(connect("sleeper", false)).wantFlush("secret", "CONNACK")
	r.at("10.0.0.1:8").sends(&mqttsn.Disconnect{}).gets("DISCONNECT")
	r.at("10.0.0.2:7").connects("sleeper", false, time.Minute)
	r.at("10.0.0.3:7").connects("new", false, time.Minute)
	r.pass(2 * time.Minute) // both are lost
	r.at("10.0.0.2:7").connects("new", false, time.Minute)
	r.at("10.0.0.3:7").connects("sleeper", false, time.Minute)
	r.wantCount("hijack_attempts_total", "", 0)
}

// TestNeverAfterRestart: the policy holds for those who were asleep when the
// process before this one ended.
func TestNeverAfterRestart(t *testing.T) {
	w := durableWorld(t, func(c *Config) { c.AddressMigration = Never })
	s := w.at("10.0.0.1:7")
	s.says(connectKept("sleeper")).says(&mqttsn.Disconnect{Duration: time.Hour}).gets("CONNACK DISCONNECT")
	w.killed()
	thief := w.at("10.0.0.66:7").says(connectKept("sleeper"))
	if a := last[*mqttsn.Connack](thief); a.Reason != mqttsn.Congestion {
		t.Errorf("after a restart the thief is answered by %v", a.Reason)
	}
	s.says(&mqttsn.Pingreq{ClientID: []byte("sleeper")}).gets("PINGRESP")
}

// TestNeverWithoutAddress: a client that another one has displaced, before the
// policy was set, may come from anywhere.
func TestNeverWithoutAddress(t *testing.T) {
	w := durableWorld(t, nil)
	both := w.at("10.0.0.1:7")
	for _, id := range []string{"displaced", "displacer"} {
		both.says(connectKept(id)).says(&mqttsn.Disconnect{Duration: time.Hour}).gets("CONNACK DISCONNECT")
	}
	w.config.AddressMigration = Never
	w.killed()
	for id, want := range map[string]mqttsn.Reason{"displaced": mqttsn.Accepted, "displacer": mqttsn.Congestion} {
		s := w.at("10.0.0.2:7").says(connectKept(id))
		if a := last[*mqttsn.Connack](s); a.Reason != want {
			t.Errorf("%s is answered by %v, want %v", id, a.Reason, want)
		}
		s.got = nil
	}
}

// TestHostile49Broadcast: nobody is at an address that stands for many.
func TestHostile49Broadcast(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Advertise.Addresses = append(c.Advertise.Addresses, stranger(255).Addr) })
	w.at(stranger(255).Addr.String())
	w.settle() // ADVERTISE
	for _, source := range []string{"255.255.255.255:7", stranger(255).Addr.String(), "[ff02::1%eth0]:7", "[::]:7"} {
		s := w.at(source)
		s.got = nil
		s.sends(&mqttsn.Pingreq{}).sends(connect("x", true)).sends(&mqttsn.Searchgw{}).gets("")
	}
	w.wantCount("datagrams_dropped_total", "bad_source", 12)
}

// TestHostile46Associations: who has an association has shown where it is, and
// is no stranger to the limits on those who may be anywhere.
func TestHostile46Associations(t *testing.T) {
	w := newWorld(t, limited)
	s := w.at("192.0.2.1:7")
	plain := s.source
	for range 200 {
		s.sends(&mqttsn.Pingreq{})
	}
	s.gets(strings.TrimSpace(strings.Repeat("DISCONNECT ", 50)))
	s.source.peer.Conn = 1
	for range 200 {
		s.sends(&mqttsn.Pingreq{})
	}
	s.gets(strings.TrimSpace(strings.Repeat("DISCONNECT ", 200)))
	s.source = plain
	s.sends(&mqttsn.Pingreq{}).gets("")
}

// TestHostile46Exempt: limits hold for everyone but the networks that are
// exempt, and for those even on loopback if they are not.
func TestHostile46Exempt(t *testing.T) {
	for _, tt := range []struct {
		exempt  []string
		address string
		want    int
	}{
		{nil, "127.0.0.1:7", 50}, {nil, "[::1]:7", 50},
		{[]string{"192.168.0.0/16"}, "192.168.3.4:7", 200}, {[]string{"192.168.0.0/16"}, "192.168.3.4:7/0a", 50}, {[]string{"192.168.0.0/16"}, "10.0.0.1:7", 50},
		{[]string{"fe80::/10"}, "[fe80::1%eth0]:7", 200},
	} {
		w := newWorld(t, func(c *Config) {
			limited(c)
			c.Strangers.Exempt = prefixes(tt.exempt...)
			c.Forwarders = prefixes("192.168.0.0/16")
		})
		s := w.at(tt.address)
		for range 200 {
			s.sends(&mqttsn.Pingreq{})
		}
		if n := len(s.got); n != tt.want {
			t.Errorf("with %v exempt, %s gets %d answers, want %d", tt.exempt, tt.address, n, tt.want)
		}
	}
}
