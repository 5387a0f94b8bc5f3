package e2e

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestPredefinedByIdentity: a topic that everybody knows by a number is each
// sensor's own, by who it has proved to be, with a connection or without, and
// still is after a kill. Who has proved nothing has none.
func TestPredefinedByIdentity(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	dtls := "psk_file: " + pskFile(t, map[string]byte{"ann": 1, "{clientid}": 2, "a/b": 3})
	predefined1 := "mqttsn.predefined=[{id: 1, topic: 'up/{identity}/{clientid}'}, {id: 2, topic: 'down/{identity}'}, {id: 3, topic: 'bare/{identity}'}]"
	b := onData(t, data, overDTLS(nil, dtls), predefined1)
	app := b.mqtt3(t, "app", nil)
	app.subscribe("#", 1)
	sensors := make(map[string]*sensor)
	for i, id := range []string{"ann", "{clientid}", "a/b"} {
		over, _ := b.secureSocket(byKey(id, byte(1+i))...)
		s := over.sensor(b, "s"+string(rune('1'+i)), "")
		s.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: predefined(1), Payload: []byte("of no client")})
		s.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: predefined(3), Payload: []byte("bare")})
		if id != "a/b" {
			want(t, app.receive(), message{"bare/" + id, "bare", 0, false})
		}
		s.connectFor(false, time.Hour)
		sensors[id] = s
	}
	sensors["plain"] = b.sensor("s4")
	sensors["plain"].connect(true)
	for id, topic := range map[string]string{"ann": "up/ann/s1", "{clientid}": "up/{clientid}/s2"} {
		sensors[id].publish(predefined(1), "x", 1, false)
		want(t, app.receive(), message{topic, "x", 1, false})
	}
	for _, id := range []string{"a/b", "plain"} {
		s := sensors[id]
		s.send(&mqttsn.Publish{QoS: 1, ID: s.nextMsgID(), Topic: predefined(1), Payload: []byte("x")})
		if a := expect[*mqttsn.Puback](s); a.Reason != mqttsn.InvalidTopicID {
			t.Errorf("%s is answered by %v", id, a.Reason)
		}
	}

	ann := sensors["ann"]
	ann.subscribeTo(predefined(2), 1)
	ann.sleep(time.Hour)
	b.publish(t, "down/ann", "told", 1)
	b.process.Process.Kill()
	await(t, b.ended, "end of the broker")
	b = start(t, "data_dir="+data, overDTLS(b, dtls), predefined1)
	ann.b = b
	if got, want := ann.wake(), []message{{"predefined 2", "told", 1, false}}; !slices.Equal(got, want) {
		t.Errorf("ann wakes to %v, want %v", got, want)
	}
}
