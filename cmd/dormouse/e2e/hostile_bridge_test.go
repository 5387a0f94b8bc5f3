package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestHostile30Bridge: what a bridge makes of topics, be it a Mosquitto with an
// odd configuration or something that only says that it is a bridge, is dropped
// and counted if it is not for clients to say: the broker's own, what is of
// control, and what is too long or too deep. All else goes on, and a canary
// notices nothing.
func TestHostile30Bridge(t *testing.T) {
	t.Parallel()
	b := attacked(t)
	watcher := b.mqtt5(t, "watcher", nil)
	watcher.subscribe("#", 1)
	for _, filter := range []string{"$CONTROL/#", "$other/#"} { // as is allowed, and brings nothing
		watcher.subscribe(filter, 1)
	}
	long, deep := strings.Repeat("l", 1100), strings.Repeat("d/", 40)
	there, _ := mosquitto(t, "connection dormouse", "address "+b.tcp.String(), "remote_clientid crafty", "notifications false",
		"topic # out 1 c/ $CONTROL/", "topic # out 1 s/ $SYS/broker/", "topic # out 1 l/ "+long+"/", "topic # out 1 d/ "+deep, "topic # out 1 ok/ plant/")
	mosquittoPub(t, there, "ok/up", "", 1)
	want(t, watcher.receive(), message{"plant/up", "", 1, false})
	for _, topic := range []string{"c/dynamic-security/v1", "s/version", "l/x", "d/x"} {
		mosquittoPub(t, there, topic, "forged", 1, "-r")
	}
	for i := range 3 {
		mosquittoPub(t, there, "ok/meter", fmt.Sprint(i), 1)
		want(t, watcher.receive(), message{"plant/meter", fmt.Sprint(i), 1, false})
	}
	for _, reason := range []string{"not_authorized", "invalid_topic"} {
		b.wantMetric(t, `dormouse_messages_dropped_total{reason="`+reason+`"}`, "2")
	}

	for _, topic := range []string{"$CONTROL/x", "$SYS/broker/connection/other/state", long, deep + "x", "a/#", "", "a\x00b", "\xff"} {
		c := b.rawMQTT(t)
		c.send("10 12 | 0004 4d515454 84 02 003c | 0006 " + fmt.Sprintf("%x", "crafty"))
		c.connack()
		payload := fmt.Sprintf("%04x%x0001", len(topic), topic)
		size := len(payload) / 2
		length := fmt.Sprintf("%02x", size)
		if size > 127 {
			length = fmt.Sprintf("%02x%02x", size&127|128, size>>7)
		}
		c.send("33 " + length + payload)
		c.send("c0 00") // is it still there?
		var said [1]byte
		if n, err := c.Read(said[:]); n > 0 && said[0] != 0x40 && said[0] != 0xd0 || n == 0 && err == nil {
			t.Errorf("PUBLISH to %.20q is answered by %x, %v", topic, said, err)
		}
		c.Close()
	}
	b.publish(t, "marker", "x", 1)
	want(t, watcher.receive(), message{"marker", "x", 1, false})
	fresh := b.mqtt5(t, "fresh", nil)
	fresh.subscribe("#", 1)
	b.publish(t, "marker", "y", 1)
	want(t, fresh.receive(), message{"marker", "y", 1, false}) // nothing is retained
}
