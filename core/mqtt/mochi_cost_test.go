package mqtt

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// What mochi alone costs and leaves behind, by the numbers that its defects
// have in our list of them. Bounds are octets and allocations, and never time.

// TestM10_IdleConnection: a connected client that says nothing takes less than
// 4 KB, and no goroutine.
func TestM10_IdleConnection(t *testing.T) {
	onBoth(t, setup{}, `octets are in use`, func(t testing.TB, w *twin) {
		const clients = 1000
		before := w.tell(collect)
		for range clients {
			w.connect(t, 5, "", nil)
		}
		after := w.tell(collect)
		each := (after.Memory - before.Memory) / clients
		t.Logf("%d octets and %d goroutines for %d clients", each*clients, after.Goroutines-before.Goroutines, clients)
		if each > 4<<10 {
			t.Errorf("%d octets are in use for each client", each)
		}
		if n := after.Goroutines - before.Goroutines; n > clients/10 {
			t.Errorf("%d goroutines run for %d clients", n, clients)
		}
	})
}

// TestM19_ExpiredSession: nothing is left of a session whose time is up.
func TestM19_ExpiredSession(t *testing.T) {
	onBoth(t, setup{}, `got the message "q ghost`, func(t testing.TB, w *twin) {
		sub := w.connect(t, 5, "sub", func(pk *packets.Packet) {
			kept(pk)
			pk.Properties.SessionExpiryInterval = 1
		})
		sub.subscribe(1, "q")
		sub.disconnect()
		await(t, "the session to expire", func() bool { return w.look().Sessions == 0 })

		sub, ack := w.tryConnect(t, 5, "sub", kept)
		if ack.SessionPresent {
			t.Error("the session is still there")
		}
		sub.subscribe(1, "mark")
		pub := w.connect(t, 4, "pub", nil)
		pub.publish("q", "ghost", 1, 1)
		pub.expect(packets.Puback)
		pub.ping() // it is on its way
		w.noneButMark(sub)
	})
}

// TestM23_Matching: a message takes few allocations from PUBLISH to PUBLISH,
// with a thousand filters about.
func TestM23_Matching(t *testing.T) {
	onBoth(t, setup{}, `allocations for each`, func(t testing.TB, w *twin) {
		const messages, clients, filters = 500, 20, 50
		for c := range clients {
			var of []string
			for f := range filters {
				of = append(of, fmt.Sprintf("site/%d/+/%d", c, f))
			}
			w.connect(t, 4, fmt.Sprint(c), nil).subscribe(0, of...)
		}
		sub, pub := w.connect(t, 4, "sub", nil), w.connect(t, 4, "pub", nil)
		sub.subscribe(0, "site/7/+/7")
		before := w.look().Mallocs
		for range messages {
			pub.publish("site/7/x/7", "x", 0, 0)
		}
		for range messages {
			sub.expect(packets.Publish)
		}
		each := (w.look().Mallocs - before) / messages
		t.Logf("%d allocations for each message", each)
		if each > 16 {
			t.Errorf("%d allocations for each message, want 16 at most", each)
		}
	})
}

// TestM23_ManyRetained: a wildcard over 100,000 retained messages takes less
// than 40 MB, and all of them come.
func TestM23_ManyRetained(t *testing.T) {
	const sites, sensors = 100, 1000
	const all = sites * sensors
	onBoth(t, setup{Retained: all}, `MB were allocated`, func(t testing.TB, w *twin) {
		for site := range sites {
			pub := w.connect(t, 4, "pub", nil)
			var burst []byte
			for n := range sensors {
				burst = append(burst, pub.encode(packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true},
					TopicName:   fmt.Sprintf("site/%d/%d/state", site, n), Payload: []byte("0.123456"),
				})...)
			}
			pub.Write(burst)
			pub.ping()
			pub.disconnect()
		}

		sub := w.connect(t, 4, "sub", nil)
		sub.SetDeadline(time.Now().Add(3 * patience)) // mochi takes its time
		before := w.look().Allocated
		sub.subscribe(0, "#")
		sub.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		came := 0
		for answered := false; came < all && !(w.bare && answered); { // mochi has found all before it answers
			pk, err := sub.next()
			if err != nil {
				t.Fatalf("after %d messages: %v", came, err)
			}
			switch pk.FixedHeader.Type {
			case packets.Publish:
				came++
			case packets.Pingresp:
				answered = true
			}
		}
		n := (w.look().Allocated - before) >> 20
		t.Logf("%d MB for %d messages", n, came)
		if n >= 40 {
			t.Errorf("%d MB were allocated", n)
		}
	})
}

// TestM24_IdleSessions: time goes by without work for each client that is not
// there, and mochi knows of none.
func TestM24_IdleSessions(t *testing.T) {
	onBoth(t, setup{SysInterval: time.Second}, `octets are allocated`, func(t testing.TB, w *twin) {
		const clients, rounds = 3000, 2
		for i := range clients {
			w.connect(t, 5, fmt.Sprint(i), kept).disconnect()
		}
		clock := w.connect(t, 4, "clock", nil)
		clock.subscribe(0, "$SYS/broker/uptime")
		clock.expect(packets.Publish)
		before := w.look()
		for range rounds { // a second each
			clock.expect(packets.Publish)
		}
		after := w.look()
		each := (after.Allocated - before.Allocated) / rounds / clients
		t.Logf("%d octets for each of %d clients", each, clients)
		if each > 32 {
			t.Errorf("%d octets are allocated a second for each client", each)
		}
		if after.InMochi != 0 {
			t.Errorf("mochi knows of %d clients", after.InMochi)
		}
	})
}

// TestM25_AcknowledgedBeforeStored: no PUBACK and no PUBREC until the message
// is stored for a client that is away.
func TestM25_AcknowledgedBeforeStored(t *testing.T) {
	t.Parallel()
	for qos, kind := range map[byte]byte{1: packets.Puback, 2: packets.Pubrec} {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			onBoth(t, setup{}, `got Pub.* want Pingresp`, func(t testing.TB, w *twin) {
				sub, pub := w.connect(t, 4, "sub", stays), w.connect(t, 4, "pub", nil)
				sub.subscribe(2, "q")
				sub.disconnect()
				w.tell(hold)
				pub.publish("q", "x", qos, 7)
				await(t, "the message to be written", func() bool { return w.look().Stored == 1 })
				pub.ping() // and nothing else
				w.tell(release)
				pub.expect(kind)
			})
		})
	}
}

// TestM25_NoneOfItsStores: mochi's stores are not even in the binary.
func TestM25_NoneOfItsStores(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "dormouse/cmd/dormouse").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "mochi-mqtt/server/v2\n") {
		t.Error("mochi itself is not found: this test sees nothing")
	}
	for dep := range strings.Lines(string(out)) {
		if strings.Contains(dep, "/hooks/storage/") {
			t.Errorf("the binary has %s", dep)
		}
	}
}
