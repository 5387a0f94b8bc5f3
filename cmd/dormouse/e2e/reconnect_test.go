package e2e

import (
	"net/url"
	"testing"
)

// TestTheyComeBack: after a restart, programs that reconnect by themselves do so
// and subscribe again, as in their tutorials.
func TestTheyComeBack(t *testing.T) {
	t.Parallel()
	b := start(t)
	programs := []*program{
		spawn(t, "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", b.tcp.Addr().String(), "-p", port(b.tcp), "-t", "news", "-q", "1", "-F", "message %q %r %t %p"),
	}
	for transport, address := range transports {
		programs = append(programs,
			spawn(t, python, "-u", "testdata/python/loop_forever.py", portOf(t, address(b)), transport, "", "", "news"),
			spawn(t, "node", "testdata/mqttjs/subscribe.js", address(b), "4", "news"),
			spawn(t, "node", "testdata/mqttjs/subscribe.js", address(b), "5", "news"))
	}
	for _, p := range programs {
		p.until("Subscribed")
	}
	ws, err := url.Parse(b.ws)
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	b = start(t, "listeners.mqtt.address="+b.tcp.String(), "listeners.ws.address="+ws.Host)
	for _, p := range programs {
		p.until("Subscribed")
	}
	b.mosquittoPub(t, "news", "1", 1)
	for _, p := range programs {
		if line := p.until("message"); line != "message 1 0 news 1" {
			t.Errorf("%s prints %q, want message 1 0 news 1", p.name, line)
		}
	}
}
