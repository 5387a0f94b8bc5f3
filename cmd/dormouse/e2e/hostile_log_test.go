package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"dormouse/mqttsn"
)

// TestHostile69Log: whatever clients of both worlds call themselves, their users
// and their topics, each event is one line of what can be printed, and as JSON
// says what happened. Nobody else notices.
func TestHostile69Log(t *testing.T) {
	t.Parallel()
	const bait = "a\x1b[2J\r\n{\"level\":\"error\",\"event\":\"forged\"}\u009b31m\u202e\x7f\t"
	colour := regexp.MustCompile("\x1b\\[[0-9]+m") // ours
	for _, format := range []string{"json", "console"} {
		b := attacked(t, "log.level=debug", "log.format="+format)
		for _, id := range []string{bait, "\u009b2J", "\x1b]0;x\x07"} {
			s := b.sensor(id)
			s.send(&mqttsn.Connect{Will: true, CleanSession: true, ProtocolID: 1, ClientID: []byte(id)})
			if _, ok := s.hear("CONNACK or WILLTOPICREQ").(*mqttsn.Connack); !ok {
				s.send(&mqttsn.Willtopic{Topic: []byte(bait)})
				s.hear("CONNACK or WILLMSGREQ")
			}
			s.send(&mqttsn.Pingreq{ClientID: []byte(id)})
			c := b.rawMQTT(t)
			c.send(connectAs(id, bait))
			c.send("30 " + field(1, bait))
			c.send("30 06 0001 61 ffffffff")
			c.Close()
			fine := b.rawMQTT(t)
			fine.connect()
			fine.send("32 " + field(2, bait) + "0001")
			fine.Close()
		}
		b.settle(t)
		for line := range strings.Lines(b.log.String()) {
			line = colour.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
			if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }); i >= 0 {
				t.Errorf("%s: what steers a terminal is in %q", format, line)
			}
			if event := make(map[string]any); format == "json" && (json.Unmarshal([]byte(line), &event) != nil || event["event"] == "forged") {
				t.Errorf("%q is none of our events", line)
			}
		}
	}
}

// field is a string of MQTT in hex, in so many octets more, behind its length.
func field(more int, s string) string {
	return fmt.Sprintf("%02x %04x %s", len(s)+2+more-1, len(s), hex.EncodeToString([]byte(s)))
}

// connectAs is a CONNECT of MQTT 3.1.1 with a client id and a user name.
func connectAs(id, user string) string {
	body := "0004 4d515454 04 82 003c " + fmt.Sprintf("%04x %x %04x %x", len(id), id, len(user), user)
	return fmt.Sprintf("10 %02x %s", len(strings.ReplaceAll(body, " ", ""))/2, body)
}

// TestSensorsSecretsAreNotLogged: no payload and no will, be it taken, refused
// or malformed, is in the log at its most talkative.
func TestSensorsSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	const secret = "battery staple"
	b := attacked(t, "log.level=debug", "mqttsn.qos_minus_one.enabled=true")
	s := b.sensor("sensor")
	s.connectWithWill(false, time.Minute, message{"will", secret, 1, false})
	up := s.register("up")
	for qos := range 3 {
		s.publish(up, secret, qos, true)
	}
	s.send(&mqttsn.Publish{QoS: 1, Topic: predefined(9), ID: s.nextMsgID(), Payload: []byte(secret)})
	expect[*mqttsn.Puback](s)
	s.send(&mqttsn.Willmsgupd{Payload: []byte(secret)})
	expect[*mqttsn.Willmsgresp](s)
	s.subscribe("up", 1)
	s.accept(s.hear("PUBLISH"))
	s.sock.sendMalformed("13 0c 60 0000" + hex.EncodeToString([]byte(secret))) // QoS -1, and no identifier
	stranger := b.sensor("stranger")
	stranger.send(&mqttsn.Publish{QoS: 1, Topic: short("T1"), ID: 1, Payload: []byte(secret)})
	expect[*mqttsn.Disconnect](stranger)
	stranger.send(&mqttsn.Publish{QoS: mqttsn.QoSMinusOne, Topic: short("T#"), Payload: []byte(secret)})
	b.settle(t)
	for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), "YmF0dGVyeSBzdGFwbGU"} {
		if strings.Contains(b.log.String(), form) {
			t.Errorf("%q is in the log:\n%s", form, b.log)
		}
	}
}
