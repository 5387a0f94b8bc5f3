package mqtt

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"dormouse/core"
)

// TestResume: a kept session has its subscriptions and, in order, what came
// meanwhile; what was in flight comes again first, under its identifier and
// marked. (mochi itself mixes the order: M16.)
func TestResume(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b := start(t, nil)
			p, ack := b.tryConnect(t, version, "keeper", kept)
			if ack.SessionPresent {
				t.Error("Session Present for a session that is new")
			}
			p.subscribe(2, "q/#")
			sender := b.connect(t, 4, "sender", nil)
			send := func(n int, qos byte) {
				sender.publish("q/t", fmt.Sprint(n), qos, uint16(n))
				if qos == 1 {
					sender.expect(packets.Puback)
				} else {
					sender.expect(packets.Pubrec)
					sender.ack(packets.Pubrel, uint16(n))
					sender.expect(packets.Pubcomp)
				}
			}
			for n := 1; n <= 4; n++ {
				send(n, byte(2-n%2)) // 1, 2, 1, 2
			}
			p.expectMessage("q/t 1 1 1")
			p.expectMessage("q/t 2 2 2")
			p.expectMessage("q/t 3 1 3")
			p.expectMessage("q/t 4 2 4")
			p.ack(packets.Pubrec, 4) // it has 4, all but the last octets of the exchange
			p.expect(packets.Pubrel)
			p.Close()
			await(t, "the client to be lost", func() bool { return b.core.Stats().Connected == 1 })
			for n := 5; n <= 40; n++ {
				send(n, byte(2-n%2))
			}

			p, ack = b.tryConnect(t, version, "keeper", kept)
			if !ack.SessionPresent {
				t.Error("no Session Present for a session that was kept")
			}
			p.expectMessage("q/t 1 1 1 dup")
			p.expectMessage("q/t 2 2 2 dup")
			p.expectMessage("q/t 3 1 3 dup")
			if rel := p.expect(packets.Pubrel); rel.PacketID != 4 {
				t.Errorf("PUBREL for %d, want 4", rel.PacketID)
			}
			for n := 5; n <= 40; n++ {
				p.expectMessage(fmt.Sprintf("q/t %d %d %d", n, 2-n%2, n))
			}

			p.disconnect()
			p, ack = b.tryConnect(t, version, "keeper", nil)
			if ack.SessionPresent {
				t.Error("Session Present after a clean start")
			}
			send(41, 1)
			p.ping() // and no message
		})
	}
}

// TestExpiry: a session that has expired leaves nothing behind (M19), and
// DISCONNECT may shorten what CONNECT asked for.
func TestExpiry(t *testing.T) {
	b := start(t, func(_ *coreOptions, o *Options) { o.MaxSessionExpiry = 2 * time.Hour })
	p, ack := b.tryConnect(t, 5, "brief", func(pk *packets.Packet) {
		kept(pk)
		pk.Properties.SessionExpiryInterval = 86400
	})
	if got := ack.Properties.SessionExpiryInterval; got != 7200 {
		t.Errorf("Session Expiry Interval granted is %d, want 7200", got)
	}
	p.subscribe(1, "old")
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
		Properties:  packets.Properties{SessionExpiryInterval: 60, SessionExpiryIntervalFlag: true},
	})
	p.expectEnd()
	b.core.Tick(time.Now().Add(59 * time.Second))
	if n := b.core.Stats().Clients; n != 1 {
		t.Errorf("%d sessions after 59 s, want 1", n)
	}
	b.core.Tick(time.Now().Add(61 * time.Second))
	if s := b.core.Stats(); s.Clients != 0 || s.Subscriptions != 0 {
		t.Errorf("%d sessions and %d subscriptions after 61 s, want none", s.Clients, s.Subscriptions)
	}

	p, ack = b.tryConnect(t, 5, "brief", kept)
	if ack.SessionPresent {
		t.Error("the session is still there")
	}
	p.publish("old", "x", 1, 1)
	p.expect(packets.Puback)
	p.ping() // it has not subscribed

	// What was not to outlive the connection cannot be made to.
	p = b.connect(t, 5, "clean", nil)
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
		Properties:  packets.Properties{SessionExpiryInterval: 60, SessionExpiryIntervalFlag: true},
	})
	if code := p.expectEnd(); code != packets.ErrProtocolViolation.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x82", code)
	}
}

// TestNoExpiryGranted: a client that is granted none may still say at the end
// how long it would like its session to last: that is no fault, and fires no will.
func TestNoExpiryGranted(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ *coreOptions, o *Options) { o.MaxSessionExpiry = 0 })
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(0, "will")
	p, ack := b.tryConnect(t, 5, "p", func(pk *packets.Packet) { kept(pk); willing(5, 0, false)(pk) })
	if p := ack.Properties; !p.SessionExpiryIntervalFlag || p.SessionExpiryInterval != 0 {
		t.Errorf("Session Expiry Interval granted is %d, %v; want 0, said so", p.SessionExpiryInterval, p.SessionExpiryIntervalFlag)
	}
	p.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
		Properties:  packets.Properties{SessionExpiryInterval: 60, SessionExpiryIntervalFlag: true},
	})
	if code := p.expectEnd(); code != 0 {
		t.Errorf("DISCONNECT 0x%02x", code)
	}
	await(t, "the session to be gone", func() bool { return b.core.Stats().Clients == 1 })
	watcher.ping()
}

// TestTakeover: the newer client of an id has the session, the older one is
// told if it understands, and its will is published.
func TestTakeover(t *testing.T) {
	b := start(t, nil)
	watcher := b.connect(t, 4, "watcher", nil)
	watcher.subscribe(0, "will")
	withWill := func(pk *packets.Packet) {
		kept(pk)
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("lost")
	}
	first := b.connect(t, 5, "twin", withWill)
	first.subscribe(1, "q")
	second, ack := b.tryConnect(t, 4, "twin", kept)
	if !ack.SessionPresent {
		t.Error("no Session Present")
	}
	if code := first.expectEnd(); code != packets.ErrSessionTakenOver.Code {
		t.Errorf("DISCONNECT 0x%02x, want 0x8e", code)
	}
	watcher.expectMessage("will lost 0 0")
	third := b.connect(t, 5, "twin", kept)
	if code := second.expectEnd(); code != 0 {
		t.Errorf("a 3.1.1 client got DISCONNECT 0x%02x", code)
	}
	third.publish("q", "still subscribed", 1, 1)
	third.expect(packets.Puback)
	third.expectMessage("q still subscribed 1 1")
	if n := b.server.Stats().Closed.TakenOver; n != 2 {
		t.Errorf("%d connections are counted as taken over, want 2", n)
	}
}

// TestKickedAtOnce: who has its CONNACK is told why it ends, however soon.
func TestKickedAtOnce(t *testing.T) {
	b := start(t, nil)
	for range 300 {
		p := b.connect(t, 5, "p", nil)
		b.core.Kick("p", false)
		if code := p.expectEnd(); code != packets.ErrAdministrativeAction.Code {
			t.Fatalf("DISCONNECT 0x%02x, want 0x98", code)
		}
	}
}

// TestWills: by all that happens to a client, but DISCONNECT without a reason.
func TestWills(t *testing.T) {
	b := start(t, nil)
	watcher := b.connect(t, 5, "watcher", nil)
	watcher.subscribe(2, "will/#")
	connect := func(version byte, id string) *peer {
		return b.connect(t, version, id, func(pk *packets.Packet) {
			c := &pk.Connect
			c.WillFlag, c.WillTopic, c.WillPayload, c.WillQos = true, "will/"+id, []byte("lost"), 1
			c.WillProperties.ContentType = "text/plain"
			c.WillProperties.User = []packets.UserProperty{{Key: "k", Val: "v"}}
		})
	}
	says := map[string]func(p *peer){
		"hangs up":                  func(p *peer) { p.Close() },
		"breaks the protocol":       func(p *peer) { p.raw("d0 00") },
		"DISCONNECT 0x04":           func(p *peer) { p.raw("e0 02 04 00") },
		"DISCONNECT 0x04 in 1 byte": func(p *peer) { p.raw("e0 01 04") },
		"DISCONNECT 0x80":           func(p *peer) { p.raw("e0 01 80") },
	}
	seq := 0
	for why, say := range says {
		seq++
		id := fmt.Sprint("v5-", seq)
		say(connect(5, id))
		pk := watcher.expect(packets.Publish)
		if pk.TopicName != "will/"+id || pk.Properties.ContentType != "text/plain" || len(pk.Properties.User) != 1 {
			t.Errorf("%s: the will is %s with %+v", why, pk.TopicName, pk.Properties)
		}
	}
	for _, octets := range []string{"e0 00", "e0 01 00", "e0 02 00 00"} {
		p := connect(5, "content")
		p.raw(octets)
		p.expectEnd()
	}
	old := connect(4, "old")
	old.disconnect()
	old = connect(4, "older")
	old.Close()
	if pk := watcher.expect(packets.Publish); pk.TopicName != "will/older" {
		t.Errorf("the will %s was published", pk.TopicName)
	}

	// A will that must not be is refused with the client; an empty one may be.
	for topic, want := range map[string]byte{"$SYS/x": 0x87, "a/#": 0x90} {
		_, ack := b.tryConnect(t, 5, "denied", func(pk *packets.Packet) {
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("x")
		})
		if ack.ReasonCode != want {
			t.Errorf("a will on %s: CONNACK 0x%02x, want 0x%02x", topic, ack.ReasonCode, want)
		}
	}
	b.connect(t, 5, "empty", func(pk *packets.Packet) { pk.Connect.WillFlag, pk.Connect.WillTopic = true, "will/empty" }).Close()
	if pk := watcher.expect(packets.Publish); pk.TopicName != "will/empty" || len(pk.Payload) != 0 {
		t.Errorf("the will is %s %q, want an empty one", pk.TopicName, pk.Payload)
	}
}

// TestClose: MQTT 5 clients are told, no will is published, kept sessions stay.
func TestClose(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	withWill := func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "will", []byte("never")
	}
	keeper := b.connect(t, 5, "keeper", kept)
	keeper.subscribe(1, "will")
	p5, p4, mute := b.connect(t, 5, "p5", withWill), b.connect(t, 4, "p4", withWill), b.dial(t)
	b.close(t)
	for _, p := range []*peer{keeper, p5} {
		if code := p.expectEnd(); code != packets.ErrServerShuttingDown.Code {
			t.Errorf("DISCONNECT 0x%02x, want 0x8b", code)
		}
	}
	p4.expectEnd()
	mute.expectEnd()
	if s := b.core.Stats(); s.Wills != 0 || s.Connected != 0 || s.Clients != 1 {
		t.Errorf("%d wills, %d clients, %d sessions; want 0, 0, 1", s.Wills, s.Connected, s.Clients)
	}
	if n := b.server.Stats().Refused.Timeout; n != 0 {
		t.Errorf("a connection that was closed is counted as too slow")
	}
}

// TestHostile27TakeoverStorm: however many connections fight for one id,
// subscribing, publishing and being kicked, what QoS 1 acknowledges reaches a
// kept session of its own, one connection is left at most, and nothing leaks.
func TestHostile27TakeoverStorm(t *testing.T) {
	const fighters, rounds = 8, 30
	b := start(t, nil)
	keeper := b.connect(t, 4, "keeper", kept)
	keeper.subscribe(1, "storm")
	var acked atomic.Int64
	var fight, referee sync.WaitGroup
	over := make(chan struct{})
	referee.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				b.core.Kick("fighter", acked.Load()%2 == 1) // and purged
			}
		}
	})
	for range fighters {
		fight.Go(func() {
			for range rounds {
				p := b.dial(t)
				p.version = 4
				connect := packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Connect},
					Connect:     packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: "fighter", Keepalive: 60},
				}
				publish := packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "storm", PacketID: 1,
				}
				leave := subscription("jitter/#")
				leave.FixedHeader.Type = packets.Unsubscribe
				p.send(connect)
				p.send(subscription("jitter/#"))
				p.send(publish)
				p.send(leave)
				for {
					pk, err := p.next()
					if err != nil {
						break // taken over
					}
					if pk.FixedHeader.Type == packets.Puback {
						acked.Add(1)
						break
					}
				}
				p.Close()
			}
		})
	}
	fight.Wait()
	close(over)
	referee.Wait()
	if acked.Load() == 0 {
		t.Fatal("nobody got through")
	}
	for n := range acked.Load() {
		if pk := keeper.expect(packets.Publish); pk.TopicName != "storm" {
			t.Fatalf("message %d is on %s", n, pk.TopicName)
		}
		keeper.ack(packets.Puback, uint16(n+1))
	}
	await(t, "the fighters to be gone", func() bool { return b.server.Stats().Connections == 1 })
	if n := b.core.Stats().Connected; n != 1 {
		t.Errorf("core has %d clients, want the keeper alone", n)
	}
	b.canary(t)
}

// TestPubrecOfWhoIsNotAttached: between the end of an attachment and Kick,
// PUBREC has no effect, and so no PUBREL tells the client to forget: the message
// comes again over its next connection, and is one that it has.
func TestPubrecOfWhoIsNotAttached(t *testing.T) {
	b := start(t, nil)
	p := b.connect(t, 4, "p", kept)
	p.subscribe(2, "q")
	from := b.connect(t, 4, "from", nil)
	from.publish("q", "once", 2, 1)
	from.expect(packets.Pubrec)
	p.expectMessage("q once 2 1")

	b.server.mu.Lock()
	for c := range b.server.conns {
		c.watch.mu.Lock() // whoever has read for it
		if c.id.ClientID == "p" {
			c.session.Detach(core.Lost, func(error) {})
		}
		c.watch.mu.Unlock()
	}
	b.server.mu.Unlock()
	p.ack(packets.Pubrec, 1)
	p.ping()
	p.Close()
	b.connect(t, 4, "p", kept).expectMessage("q once 2 1 dup")
}
