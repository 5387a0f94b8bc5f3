package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Bad input over TCP, by the rows of the list of what will be thrown at us.
// A canary that is there all the while shows that others noticed nothing.

// attacked is start, with a canary that sings before the test begins and, still
// connected, when it ends.
func attacked(t testing.TB, settings ...string) *broker {
	t.Helper()
	b := start(t, settings...)
	b.settle(t)
	t.Cleanup(func() {
		if !t.Failed() {
			b.settle(t)
		}
	})
	return b
}

// wantMalformed wants a DISCONNECT that says Malformed Packet, in whatever words.
func (c *rawMQTT) wantMalformed(why string) {
	c.t.Helper()
	said := c.wantClosed(why)
	if len(said) < 3 || said[0] != 0xe0 || int(said[1]) != len(said)-2 || said[2] != 0x81 {
		c.t.Errorf("after %s the broker says %x, want DISCONNECT 0x81", why, said)
	}
}

// TestHostile01SubscribeWithoutOptions crashed a broker that read past the end.
func TestHostile01SubscribeWithoutOptions(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	b.settle(t)
	c := b.rawMQTT(t)
	c.connect()
	c.send("82 06 | 0001 00 | 0001 61")
	c.wantMalformed("a SUBSCRIBE without options")
	b.settle(t)
}

// TestHostile02HugeRemainingLength: nobody gets memory by announcing that they
// will fill it.
func TestHostile02HugeRemainingLength(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	b.settle(t)
	before := b.resident(t)
	for range 1000 {
		c := b.rawMQTT(t)
		c.send("10 ffffff7f")
		c.wantClosed("a CONNECT of 256 MiB")
		c.Close()
	}
	if grown := b.resident(t) - before; grown >= 20<<20 {
		t.Errorf("resident memory has grown by %d MiB, want less than 20", grown>>20)
	}
	b.settle(t)
}

// resident returns the broker's resident memory in bytes.
func (b *broker) resident(t testing.TB) int {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", b.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestHostile03OverlongLengths: a length in more octets than it needs or may
// have ends the connection, and what follows is not taken for a packet.
func TestHostile03OverlongLengths(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	smuggled := b.mqtt3(t, "watcher", nil)
	smuggled.subscribe("smuggled", 0)
	const second = "| 30 0b 0008 736d7567676c6564 00"
	for why, octets := range map[string]string{
		"a remaining length of five octets":        "30 8080808001" + second,
		"a remaining length that never ends":       "30 ffffffff" + second,
		"a property length of five octets":         "30 08 0001 61 8080808001" + second,
		"a property length beyond the packet":      "30 04 0001 61 7f" + second,
		"a property length in three octets for 14": "30 06 0001 61 8e8000" + second,
	} {
		c := b.rawMQTT(t)
		c.connect()
		c.send(octets)
		c.wantMalformed(why)
	}
	smuggled.publish("smuggled", "genuine", 0, false)
	want(t, smuggled.receive(), message{topic: "smuggled", payload: "genuine"})
}

// TestHostile07AnythingBeforeConnect: the first packet is a CONNECT, and there
// is one only.
func TestHostile07AnythingBeforeConnect(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	watcher := b.mqtt3(t, "watcher", nil)
	watcher.subscribe("#", 0)
	for _, octets := range []string{
		"00 00", "20 02 0000", "30 04 0001 61 78", "40 02 0001", "50 02 0001", "62 02 0001", "70 02 0001",
		"82 06 0001 0001 61 00", "90 03 0001 00", "a2 05 0001 0001 61", "b0 02 0001", "c0 00", "d0 00", "e0 00", "f0 00",
	} {
		c := b.rawMQTT(t)
		c.send(octets)
		if said := c.wantClosed(octets + " as the first packet"); len(said) > 0 {
			t.Errorf("%s as the first packet is answered by %x", octets, said)
		}
	}

	twice := b.rawMQTT(t)
	twice.connect()
	twice.send("10 1d | 0004 4d515454 05 c2 003c 00 | 0002 6372 | 0004 75736572 | 0006 536563726574")
	twice.wantClosed("a second CONNECT")
	b.settle(t)
	if m := watcher.receive(); !strings.HasPrefix(m.topic, "canary/") {
		t.Errorf("%v was published without a CONNECT", m)
	}
	if strings.Contains(b.log.String(), "Secret") {
		t.Error("a password is in the log")
	}
}
