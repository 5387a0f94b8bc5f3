package gateway

import (
	"strings"
	"testing"
	"time"

	"dormouse/mqttsn"
)

// TestHostile41Sizes: payloads around each length at which something ends (the
// short header, the longest datagram) arrive whole both ways, or not at all:
// what is too long for a sensor is dropped and counted. Nobody else notices.
func TestHostile41Sizes(t *testing.T) {
	const longest, fields = 1024, 9 // of a datagram; of PUBLISH without its payload, behind the long header
	w := newWorld(t, nil)
	app := w.app("app", "up")
	s, canary := w.at("10.0.0.1:7").connects("s", true, time.Hour), w.at("10.0.0.2:7").connects("canary", true, time.Hour)
	s.subscribes("ab", 1)
	up := mqttsn.Topic{Kind: mqttsn.TopicShort, ID: 'u'<<8 | 'p'}
	id, tooLong := uint16(0), uint64(0)
	for _, at := range []int{6, 256 - fields, 256, longest - fields, longest} {
		for n := at - 6; n <= at+6; n++ {
			id++
			payload := strings.Repeat("x", n)
			b := octets(&mqttsn.Publish{QoS: 1, ID: id, Topic: up, Payload: []byte(payload)})
			if long := b[0] == 1; long != (n+7 > 255) {
				t.Errorf("PUBLISH of %d octets begins with %x", n, b[:3])
			}
			s.inject(b)
			w.settle()
			s.gets("PUBACK")
			if got := app.receives(); len(got) != 1 || got[0] != "up="+payload {
				t.Errorf("of %d octets up, %d messages arrive", n, len(got))
			}
			app.publish("ab", payload, 1, false)
			if n+fields > longest {
				tooLong++
				s.gets("")
			} else {
				s.wantFlush(payload, "")
			}
		}
	}
	w.wantCount("session_events_total", "oversize", tooLong)
	canary.pings("").gets("PINGRESP")
}
