package main

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"dormouse/cmd/dormouse/config"
)

// TestSys: what the edges and the memory add to $SYS, under Mosquitto's names,
// complete but for what is named below.
func TestSys(t *testing.T) {
	c, err := config.Load("", []string{"listeners.mqtt.address=127.0.0.1:0", "listeners.sn.address=127.0.0.1:0",
		"listeners.ws.address=127.0.0.1:0", "admin.enabled=false", "durability.store=memory", "sys_topics.interval=1s"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.drain(t.Context())
	s.start()
	addr := strings.TrimSuffix(strings.TrimPrefix(s.opened[0], "MQTT on "), "/tcp")
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	connect := []byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a")
	client.Write(append(connect, "\xc0\x00"...))
	client.SetDeadline(time.Now().Add(failAfter))
	if _, err := io.ReadFull(client, make([]byte, 4+2)); err != nil { // CONNACK, PINGRESP
		t.Fatal(err)
	}
	for late := time.Now().Add(failAfter); s.mqtt.Stats().Sent.Bytes < 4+2; runtime.Gosched() { // counted once they are gone
		if time.Now().After(late) {
			t.Fatal("what the client has received is not counted")
		}
	}
	s.broker.Tick(time.Now().Add(time.Minute))

	got := map[string]string{}
	ms, _ := s.broker.Retained("$SYS/#")
	for m := range ms {
		got[strings.TrimPrefix(m.Topic, "$SYS/broker/")] = string(m.Payload)
	}
	for name, want := range map[string]string{
		"messages/received": "2", "bytes/received": "17",
		"clients/connected": "1", "clients/maximum": "1", "mqttsn/clients/connected": "0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	// Those of mosquitto(8), version 2.0, without connection/#, which bridges
	// publish themselves.
	for _, name := range strings.Fields(`
		bytes/received bytes/sent clients/connected clients/active clients/expired
		clients/disconnected clients/inactive clients/maximum clients/total heap/current heap/maximum
		load/connections/+ load/bytes/received/+ load/bytes/sent/+ load/messages/received/+
		load/messages/sent/+ load/publish/dropped/+ load/publish/received/+ load/publish/sent/+
		load/sockets/+ messages/inflight messages/received messages/sent publish/messages/dropped
		publish/messages/received publish/messages/sent store/messages/count messages/stored
		store/messages/bytes subscriptions/count`) {
		for _, span := range []string{"1min", "5min", "15min"} {
			name := strings.Replace(name, "+", span, 1)
			if _, err := strconv.ParseFloat(got[name], 64); err != nil {
				t.Errorf("%s is %q", name, got[name])
			}
		}
	}
	if got["retained messages/count"] != "0" || !strings.HasPrefix(got["version"], "dormouse ") || !strings.HasSuffix(got["uptime"], " seconds") {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"messages/sent", "bytes/sent", "load/sockets/1min", "load/bytes/received/1min", "load/messages/sent/1min"} {
		if n, _ := strconv.ParseFloat(got[name], 64); n <= 0 {
			t.Errorf("%s is %s after one connection", name, got[name])
		}
	}
}
