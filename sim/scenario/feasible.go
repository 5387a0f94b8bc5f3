package scenario

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/payload"
	"dormouse/sim/workload"
)

// Octets of MQTT-SN 1.2 packets beside what varies in them, §5.4.
const (
	connectOctets    = 6 // and the client id
	willTopicOctets  = 3 // and the topic
	willMsgOctets    = 2 // and the message
	registerOctets   = 6 // and the topic
	publishOctets    = 7 // and the payload
	pubackOctets     = 7
	pubrelOctets     = 4 // PUBREC and PUBCOMP too
	subscribeOctets  = 5 // and the topic
	pingreqOctets    = 2 // and the client id of a sleeper
	disconnectOctets = 4 // with a duration
)

// handshake is what a device sends in a handshake of DTLS 1.2 with a pre-shared
// key, in octets at least: with connection ids, and an identity of some length,
// it is longer.
var handshake = [...]struct {
	what   string
	octets int
}{{"its ClientHello", 104}, {"its ClientHello with a cookie", 124}, {"its ClientKeyExchange with Finished", 94}}

// A load is datagrams that devices of a group cannot do without.
type load struct {
	what   string // "a report"
	key    string // of the group: whom to blame for the length
	fixed  int    // octets beside what that key says
	octets int
	down   bool    // to the device
	hourly float64 // in the busiest hour, of a device; 0: only a few in a run
}

// packet is the length of one of so many octets, with the longer length field
// of 1.2 §5.2.1 where it has to.
func packet(octets int) int {
	if octets > 255 {
		return octets + 2
	}
	return octets
}

// loads are what the devices of m send and are sent when nothing is lost.
func loads(m *sim.Group) (ls []load) {
	add := func(what, key string, fixed, varying int, down bool, hourly float64) {
		sealing := m.DTLS.Sealing(down)
		ls = append(ls, load{what, key, fixed + sealing, packet(fixed+varying) + sealing, down, hourly})
	}
	w := &m.Workload
	r, c, s := &w.Reports, &w.Commands, &w.Sleep
	id := longestOf(m, m.ClientID)
	if d := m.DTLS; d != nil {
		hourly := 0.0
		if !d.CID && s.Policy != workload.Listening {
			hourly = perHour(r.Every) * r.Curve.Peak()
		}
		for _, h := range handshake {
			ls = append(ls, load{h.what, "transport", h.octets, h.octets, false, hourly})
		}
	}
	connected := r.QoS != mqttsn.QoSMinusOne || c.Topic != "" || m.Session.Will != nil || s.Policy == workload.Sleeping
	sleeping := s.Policy == workload.Sleeping
	reports := perHour(r.Every) * (1 + r.Bursts.Share*float64(r.Bursts.Count)) * r.Curve.Peak()
	wakes := perHour(r.Every) * r.Curve.Peak() // a burst is one
	if r.Bursts.Spacing > s.Linger {
		wakes = reports
	}

	if connected {
		hourly := 0.0
		if sleeping && !m.Client.Quirks.Has(client.SleepTalk) {
			hourly = wakes
			add("its DISCONNECT", "sleep.policy", disconnectOctets, 0, false, wakes)
		}
		add("its CONNECT", "client_id", connectOctets, id, false, hourly)
	}
	if will := m.Session.Will; will != nil {
		add("its will's topic", "will.topic", willTopicOctets, longestOf(m, will.Topic), false, 0)
		add("its will", "will.payload", willMsgOctets, len(will.Payload), false, 0)
	}
	if r.Every > 0 {
		n := size(r.Payload)
		add("a report", "reports.payload.size", publishOctets, n, false, reports)
		if r.QoS == 2 {
			add("its PUBREL", "reports.qos", pubrelOctets, 0, false, reports)
		}
		for i, t := range m.Topics {
			if t.Kind == sim.Registered && r.QoS != mqttsn.QoSMinusOne {
				n, hourly := longestOf(m, t.Name), 0.0
				if t.Numbered {
					n += len("/1000000")
					hourly = reports / float64(len(m.Topics))
				}
				add("its REGISTER", fmt.Sprintf("topics[%d]", i), registerOctets, n, false, hourly)
			}
		}
	}
	if c.Topic != "" {
		add("its SUBSCRIBE", "commands.topic", subscribeOctets, longestOf(m, c.Topic), false, 0)
	}
	if c.Every > 0 || len(c.At) > 0 {
		hourly := perHour(c.Every)
		add("a command", "commands.payload.size", publishOctets, size(c.Payload), true, hourly)
		switch c.QoS {
		case 1:
			add("its acknowledgement", "commands.qos", pubackOctets, 0, false, hourly)
		case 2:
			add("its acknowledgements", "commands.qos", pubrelOctets, 0, false, 2*hourly)
		}
	}
	switch {
	case sleeping:
		add("a PINGREQ", "sleep.poll", pingreqOctets, id, false, max(0, perHour(s.Interval())-wakes))
	case connected && m.Session.KeepAlive > 0:
		add("a PINGREQ", "keepalive", pingreqOctets, 0, false, max(0, perHour(m.Session.KeepAlive)-reports))
	}
	return ls
}

func perHour(every time.Duration) float64 {
	if every <= 0 {
		return 0
	}
	return float64(time.Hour) / float64(every)
}

// size is how long a message is.
func size(c payload.Config) int {
	if c.Size > 0 {
		return c.Size
	}
	return c.MinSize()
}

// longestOf is the most octets that a pattern comes to in a group.
func longestOf(m *sim.Group, pattern string) int {
	id := strings.NewReplacer("%%", "%", "%g", m.Name, "%i", strconv.Itoa(m.Count-1)).Replace(m.ClientID)
	return len(strings.NewReplacer("%%", "%", "%g", m.Name, "%i", strconv.Itoa(m.Count-1), "%c", id).Replace(pattern))
}

// feasible complains of what the radio cannot carry however lucky its devices
// are: datagrams too long for it, and more of them than it may send. keys are
// as of check.
func (b *builder) feasible(m *sim.Group, keys []string) {
	ls := loads(m)
	fits := true
	for _, l := range ls {
		name, limit := carries(m, l)
		if l.octets <= limit {
			continue
		}
		fits = false
		key, at := b.found(l.key, keys)
		room := limit - l.fixed
		if room <= 0 {
			b.complain(at, "%s: infeasible: %s is a datagram of %d octets, and %s carries %d; choose another radio", key, l.what, l.octets, name, limit)
			continue
		}
		b.complain(at, "%s: infeasible: %s is a datagram of %d octets, and %s carries %d; leave it at %d here, or choose a faster radio",
			key, l.what, l.octets, name, limit, room)
	}
	if fits {
		b.air(m, ls, keys)
	}
}

// carries is the longest datagram that the radio takes in the direction of l,
// and what the radio is called.
func carries(m *sim.Group, l load) (name string, octets int) {
	name, octets = "the radio", math.MaxInt
	link := &m.Radio.Up
	if l.down {
		link = &m.Radio.Down
	}
	if link.MTU > 0 {
		octets = link.MTU
	}
	if m.Hardware != nil {
		var e *energy.Infeasible
		if _, err := use(m, l); errors.As(err, &e) && e.Limit < octets {
			return m.Hardware.Radio.Name, e.Limit
		}
	}
	return name, octets
}

// use is what l takes of the group's hardware.
func use(m *sim.Group, l load) (energy.Use, error) {
	if l.down {
		return m.Hardware.Radio.Link.Down(l.octets)
	}
	return m.Hardware.Radio.Link.Up(l.octets, false)
}

// air complains of datagrams that take more of an hour than the radio may
// transmit: by the law of the land, the hardware's, or by the scenario's.
func (b *builder) air(m *sim.Group, ls []load, keys []string) {
	up := &m.Radio.Up
	if allowed := up.DutyCycle; allowed > 0 {
		b.duty(m, ls, keys, "the radio", allowed, func(l load) float64 {
			t := up.Preamble.Seconds()
			if up.Rate > 0 {
				t += float64(l.octets) / up.Rate
			}
			return t
		})
	}
	if h := m.Hardware; h != nil && h.Radio.DutyCycle > 0 {
		b.duty(m, ls, keys, h.Radio.Name, h.Radio.DutyCycle, func(l load) float64 {
			u, err := use(m, l)
			if err != nil {
				return 0 // its length has been complained about
			}
			return u.Tx.Seconds()
		})
	}
}

// duty holds the time on air of ls to a share of the hour.
func (b *builder) duty(m *sim.Group, ls []load, keys []string, radio string, allowed float64, airtime func(load) float64) {
	var total, reports float64 // seconds of the busiest hour
	var report load
	r := &m.Workload.Reports
	for _, l := range ls {
		if l.down || l.hourly == 0 {
			continue
		}
		t := airtime(l) * l.hourly
		total += t
		switch what := l.what; {
		case what == "a report":
			report, reports = l, reports+t
		case what == "its PUBREL", what == "its CONNECT", what == "its DISCONNECT", l.key == "transport":
			reports += t
		}
	}
	if total <= allowed*3600 {
		return
	}
	percent := func(seconds float64) string { return strconv.FormatFloat(seconds/36, 'g', 2, 64) + " %" }
	may := percent(allowed * 3600)
	rest := total - reports
	if reports > 0 && rest < allowed*3600 {
		key, at := b.found("reports.every", keys)
		every := time.Duration(float64(r.Every) * reports / (allowed*3600 - rest))
		besides := ""
		if rest > 0 {
			besides = fmt.Sprintf(", and the rest of what it sends %s", percent(rest))
		}
		b.complain(at, "%s: infeasible: %.3g reports an hour of %d octets take %s of the air with %s%s; %s is allowed: report every %s or less often",
			key, report.hourly, report.octets, percent(reports), radio, besides, may, duration(round(every)))
		return
	}
	worst, most := load{}, 0.0
	for _, l := range ls {
		if t := airtime(l) * l.hourly; !l.down && t > most {
			worst, most = l, t
		}
	}
	key, at := b.found(worst.key, keys)
	b.complain(at, "%s: infeasible: devices take %s of the air with %s, most of it with %s %.3g times an hour; %s is allowed: send less often",
		key, percent(total), radio, worst.what, worst.hourly, may)
}

// round makes d a length of time that people use, and no shorter.
func round(d time.Duration) time.Duration {
	for _, u := range []struct{ most, unit time.Duration }{
		{time.Second, 100 * time.Millisecond}, {time.Minute, time.Second},
		{10 * time.Minute, 10 * time.Second}, {time.Hour, time.Minute}, {longest, 5 * time.Minute},
	} {
		if d <= u.most {
			return (d + u.unit - 1) / u.unit * u.unit
		}
	}
	return d
}
