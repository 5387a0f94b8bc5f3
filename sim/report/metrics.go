// Package report is what a run of the simulator comes to: figures with names,
// thresholds on them, and a page that a person reads.
//
// [New] makes a [Result] of a run. It is written as JSON, read back, compared
// with another, and printed as text, HTML or for Prometheus. Times are in
// seconds, sizes in octets, charges in mAh a day, shares from 0 to 1.
package report

import (
	"fmt"
	"strings"

	"dormouse/mqttsn/client"
	"dormouse/sim"
	"dormouse/sim/energy"
	"dormouse/sim/ledger"
	"dormouse/sim/radio"
)

// A Unit is what a metric is measured in.
type Unit string

// The units. A Count has none.
const (
	Count   Unit = ""
	Seconds Unit = "s"
	Share   Unit = "share"
	Octets  Unit = "octets"
	Years   Unit = "years"
	Charge  Unit = "mAh/day"
)

// A Wish is which way a figure had better go.
type Wish int

// The wishes.
const (
	Either Wish = iota
	Lower
	Higher
)

// A Metric is one figure of a group, and of all groups taken together. Its
// name is an interface: thresholds, JSON and Prometheus use it.
type Metric struct {
	Name    string
	Unit    Unit
	Help    string
	Counter bool // it only grows
	Run     bool // it is of the whole run, not of a group
	Wish    Wish

	// of is the figure of g, and whether there is one. run is nil but for
	// metrics of the whole run.
	of func(g *subject) (float64, bool)
}

// Metrics is every metric, in the order of a report.
func Metrics() []Metric { return metrics }

// MetricNamed is the metric of that name.
func MetricNamed(name string) (Metric, bool) {
	i, ok := byName[name]
	if !ok {
		return Metric{}, false
	}
	return metrics[i], true
}

var (
	metrics = slicesOf(
		deviceMetrics(), uplinkMetrics(), downlinkMetrics(), latencyMetrics(), radioMetrics(), dtlsMetrics(), batteryMetrics(), runMetrics())
	byName = index(metrics)
)

func slicesOf(all ...[]Metric) (m []Metric) {
	for _, a := range all {
		m = append(m, a...)
	}
	return m
}

func index(m []Metric) map[string]int {
	at := make(map[string]int, len(m))
	for i := range m {
		at[m[i].Name] = i
	}
	return at
}

// A stock is the number of something that comes and goes.
func stock(name, help string, wish Wish, of func(g *sim.GroupStats) uint64) Metric {
	return Metric{Name: name, Help: help, Wish: wish,
		of: func(g *subject) (float64, bool) { return float64(of(&g.GroupStats)), true }}
}

// A counter is the number of something that has happened.
func counter(name, help string, wish Wish, of func(g *sim.GroupStats) uint64) Metric {
	m := stock(name, help, wish, of)
	m.Counter = true
	return m
}

func inOctets(name, help string, wish Wish, of func(g *sim.GroupStats) uint64) Metric {
	m := counter(name, help, wish, of)
	m.Unit = Octets
	return m
}

// share is part over whole, if there is a whole.
func share(name, help string, wish Wish, of func(g *sim.GroupStats) (part, whole uint64)) Metric {
	return Metric{Name: name, Unit: Share, Help: help, Wish: wish, of: func(g *subject) (float64, bool) {
		return ratio(of(&g.GroupStats))
	}}
}

func ratio(part, whole uint64) (float64, bool) {
	if whole == 0 {
		return 0, false
	}
	return float64(part) / float64(whole), true
}

// less is a-b, and not below 0: what arrives may be counted before what left.
func less(a, b uint64) uint64 { return a - min(a, b) }

func deviceMetrics() []Metric {
	m := []Metric{stock("devices", "Devices.", Either, func(g *sim.GroupStats) uint64 { return uint64(g.Devices) })}
	for s := range sim.NumStates {
		m = append(m, stock("devices."+stateName(s), "Devices whose state is "+stateName(s)+".", Either,
			func(g *sim.GroupStats) uint64 { return uint64(g.States[s]) }))
	}
	return append(m,
		counter("connects", "Connections that the gateway accepted.", Either, func(g *sim.GroupStats) uint64 { return g.Connects }),
		counter("connects.refused", "Connections that the gateway refused. See its limits and its access rules.", Lower,
			func(g *sim.GroupStats) uint64 { return g.Refused }),
		counter("connections.lost", "Connections that ended without a goodbye of the device.", Lower,
			func(g *sim.GroupStats) uint64 { return g.Lost }),
		counter("wakes", "Times that a device woke.", Either, func(g *sim.GroupStats) uint64 { return g.Wakes }),
		counter("reboots", "Times that a device started again.", Either, func(g *sim.GroupStats) uint64 { return g.Reboots }),
		counter("rebindings", "Times that a device got another address.", Either, func(g *sim.GroupStats) uint64 { return g.Rebindings }),
	)
}

func stateName(s int) string {
	if s == sim.Off {
		return "off"
	}
	return client.State(s).String()
}

func uplinkMetrics() []Metric {
	of := func(f func(u *ledger.Uplink) uint64) func(*sim.GroupStats) uint64 {
		return func(g *sim.GroupStats) uint64 { return f(&g.Ledger.Uplink) }
	}
	never := func(u *ledger.Uplink) uint64 { return less(u.Sent, u.Received+u.InFlight) }
	return []Metric{
		counter("reports.sent", "Reports that devices handed to their client.", Either, of(func(u *ledger.Uplink) uint64 { return u.Sent })),
		counter("reports.acknowledged", "Reports that the gateway acknowledged; at QoS 0 and -1, that were sent.", Either,
			of(func(u *ledger.Uplink) uint64 { return u.Acknowledged })),
		counter("reports.timed_out", "Reports that the device gave up, which may have arrived or not.", Lower,
			of(func(u *ledger.Uplink) uint64 { return u.TimedOut })),
		counter("reports.refused", "Reports that the gateway refused with a reason.", Lower, of(func(u *ledger.Uplink) uint64 { return u.Refused })),
		stock("reports.in_flight", "Reports that have not come to an end.", Either, of(func(u *ledger.Uplink) uint64 { return u.InFlight })),
		counter("reports.carried", "Reports at QoS 0 and -1 that reached the gateway.", Either, of(func(u *ledger.Uplink) uint64 { return u.Carried })),
		counter("reports.received", "Different reports that the subscriber got.", Either, of(func(u *ledger.Uplink) uint64 { return u.Received })),
		counter("reports.duplicates", "More copies of those.", Lower, of(func(u *ledger.Uplink) uint64 { return u.Duplicates })),
		stock("reports.missing", "Reports that the gateway owes the subscriber: a fault, unless they come yet.", Lower,
			of(func(u *ledger.Uplink) uint64 { return u.Missing })),
		counter("reports.forgiven", "Reports that it owed when it was restarted, and is known to forget.", Lower,
			of(func(u *ledger.Uplink) uint64 { return u.Forgiven })),
		counter("reports.misfiled", "Copies of reports that came on another topic than they were sent to.", Lower,
			of(func(u *ledger.Uplink) uint64 { return u.Misfiled })),
		counter("reports.skipped", "Reports that fell due while others waited, and were never made; they count nowhere else.", Lower,
			func(g *sim.GroupStats) uint64 { return g.Skipped }),
		stock("reports.lost", "Reports that the subscriber never got, for whatever reason: the radio, a refusal, or a fault.", Lower, of(never)),
		share("reports.lost_share", "Share of the reports sent that the subscriber never got.", Lower,
			func(g *sim.GroupStats) (uint64, uint64) { return never(&g.Ledger.Uplink), g.Ledger.Uplink.Sent }),
	}
}

func downlinkMetrics() []Metric {
	of := func(f func(d *ledger.Downlink) uint64) func(*sim.GroupStats) uint64 {
		return func(g *sim.GroupStats) uint64 { return f(&g.Ledger.Downlink) }
	}
	never := func(d *ledger.Downlink) uint64 { return less(d.Accepted, d.Delivered) }
	return []Metric{
		counter("commands.published", "Commands handed to the broker, once for each device.", Either,
			of(func(d *ledger.Downlink) uint64 { return d.Published })),
		counter("commands.accepted", "Commands that the broker acknowledged.", Either, of(func(d *ledger.Downlink) uint64 { return d.Accepted })),
		counter("commands.delivered", "Different commands that arrived at their device.", Either,
			of(func(d *ledger.Downlink) uint64 { return d.Delivered })),
		counter("commands.duplicates", "More copies of those.", Lower, of(func(d *ledger.Downlink) uint64 { return d.Duplicates })),
		counter("commands.late", "Commands that arrived after their deadline.", Lower, of(func(d *ledger.Downlink) uint64 { return d.Late })),
		stock("commands.missing", "Commands that the gateway owes a device: a fault, unless they come yet.", Lower,
			of(func(d *ledger.Downlink) uint64 { return d.Missing })),
		counter("commands.forgiven", "Commands that it owed when it was restarted, and is known to forget.", Lower,
			of(func(d *ledger.Downlink) uint64 { return d.Forgiven })),
		counter("commands.astray", "Copies of commands that arrived at a device that they were not for.", Lower,
			of(func(d *ledger.Downlink) uint64 { return d.Astray })),
		stock("commands.lost", "Commands that the broker acknowledged and the device never got, for whatever reason.", Lower, of(never)),
		share("commands.lost_share", "Share of the commands acknowledged that the device never got.", Lower,
			func(g *sim.GroupStats) (uint64, uint64) { return never(&g.Ledger.Downlink), g.Ledger.Downlink.Accepted }),
		share("commands.late_share", "Share of the commands delivered that came after their deadline.", Lower,
			func(g *sim.GroupStats) (uint64, uint64) { return g.Ledger.Downlink.Late, g.Ledger.Downlink.Delivered }),
		counter("wills.fired", "Wills published for devices.", Either, func(g *sim.GroupStats) uint64 { return g.Ledger.Wills.Fired }),
		stock("wills.missing", "Lost devices whose will has not been published.", Lower,
			func(g *sim.GroupStats) uint64 { return g.Ledger.Wills.Missing }),
	}
}

func radioMetrics() []Metric {
	m := []Metric{
		counter("datagrams.up", "Datagrams that devices sent.", Either, func(g *sim.GroupStats) uint64 { return g.Up.Datagrams }),
		counter("datagrams.down", "Datagrams that the gateway sent.", Either, func(g *sim.GroupStats) uint64 { return g.Down.Datagrams }),
		inOctets("octets.up", "Octets that devices sent.", Lower, func(g *sim.GroupStats) uint64 { return g.Up.Octets }),
		inOctets("octets.down", "Octets that the gateway sent.", Lower, func(g *sim.GroupStats) uint64 { return g.Down.Octets }),
		{Name: "octets.per_report", Unit: Octets, Help: "Octets, both ways, for each report that the subscriber got.", Wish: Lower,
			of: func(g *subject) (float64, bool) { return ratio(g.Up.Octets+g.Down.Octets, g.Ledger.Uplink.Received) }},
		counter("retransmissions.up", "Datagrams that devices sent again.", Lower, func(g *sim.GroupStats) uint64 { return g.Up.Resent }),
		counter("retransmissions.down", "Datagrams that the gateway sent again.", Lower, func(g *sim.GroupStats) uint64 { return g.Down.Resent }),
		share("retransmissions.share", "Share of the datagrams of devices that were sent again.", Lower,
			func(g *sim.GroupStats) (uint64, uint64) { return g.Up.Resent, g.Up.Datagrams }),
	}
	for _, way := range ways {
		m = append(m, share("loss."+way.name, "Share of the datagrams going "+way.name+" that did not arrive.", Lower,
			func(g *sim.GroupStats) (uint64, uint64) {
				d := way.of(g)
				return lost(d), d.Radio.Sent
			}))
		for _, c := range Causes {
			m = append(m, counter("lost."+way.name+"."+c.Name, "Datagrams going "+way.name+" that were lost: "+c.Text+".", Lower,
				func(g *sim.GroupStats) uint64 { return way.of(g).Radio.Outcomes[c.outcome] }))
		}
	}
	m = append(m, counter("lost.down.deaf", "Datagrams that the radio carried to a device whose receiver was off.", Lower,
		func(g *sim.GroupStats) uint64 { return g.Deaf }))
	return append(m, counter("infeasible", "Datagrams asked of a radio that cannot carry them: too long, or beyond its duty cycle.", Lower,
		func(g *sim.GroupStats) uint64 {
			return g.Up.Radio.Infeasible() + g.Down.Radio.Infeasible()
		}))
}

var ways = [...]struct {
	name string
	of   func(g *sim.GroupStats) *sim.Direction
}{
	{"up", func(g *sim.GroupStats) *sim.Direction { return &g.Up }},
	{"down", func(g *sim.GroupStats) *sim.Direction { return &g.Down }},
}

// lost is how many datagrams the radio did not carry.
func lost(d *sim.Direction) uint64 { return less(d.Radio.Sent, d.Radio.Outcomes[radio.Arrived]) }

// A Cause is why the radio did not carry a datagram.
type Cause struct {
	Name    string
	Text    string
	outcome radio.Outcome
}

// Causes is every cause.
var Causes = [...]Cause{
	{"chance", "the radio lost them by chance", radio.Chance},
	{"outage", "the cell or the site was out", radio.Outage},
	{"unbound", "no NAT binding led to the device", radio.Unbound},
	{"mtu", "they were too long for the radio", radio.MTU},
	{"duty_cycle", "the hour's share of the air was used up", radio.DutyCycle},
}

func batteryMetrics() []Metric {
	years := func(name, help string, of func(g *subject) (float64, bool)) Metric {
		return Metric{Name: name, Unit: Years, Help: help, Wish: Higher, of: of}
	}
	m := []Metric{
		years("battery.years", "Projected life of the mean device; of all groups taken together, that of the group that fares worst.",
			func(g *subject) (float64, bool) { return g.life, g.life > 0 }),
		years("battery.years.p10", "A tenth of the devices live shorter than this.", func(g *subject) (float64, bool) { return g.years.quantile(0.1) }),
		years("battery.years.median", "Half of the devices live shorter than this.", func(g *subject) (float64, bool) { return g.years.quantile(0.5) }),
		years("battery.years.p90", "A tenth of the devices live longer than this.", func(g *subject) (float64, bool) { return g.years.quantile(0.9) }),
		{Name: "battery.mah_per_day", Unit: Charge, Help: "Charge that the mean device takes a day.", Wish: Lower,
			of: func(g *subject) (float64, bool) { d, ok := g.drain(); return d.Sum(), ok }},
	}
	for b := range energy.NumBuckets {
		m = append(m, Metric{Name: "battery.mah_per_day." + b.String(), Unit: Charge, Help: "Of that: " + buckets[b] + ".", Wish: Lower,
			of: func(g *subject) (float64, bool) { d, ok := g.drain(); return d[b], ok }})
	}
	return m
}

// buckets says what charge is spent on.
var buckets = [energy.NumBuckets]string{
	energy.Sleep:      "the floor that flows all the time",
	energy.Wake:       "waking, with network access and inactivity tail",
	energy.Tx:         "sending packets for the first time",
	energy.Rx:         "receiving packets for the first time",
	energy.Wait:       "listening for answers",
	energy.Handshake:  "DTLS handshakes",
	energy.Retransmit: "packets that go again, and waiting for their answers",
	energy.CPU:        "computing besides",
}

func runMetrics() []Metric {
	figure := func(m Metric, of func(s *sim.Stats) float64) Metric {
		m.Run, m.Wish = true, Lower
		m.of = func(g *subject) (float64, bool) {
			if g.run == nil {
				return 0, false
			}
			return of(g.run), true
		}
		return m
	}
	run := func(name, help string, of func(s *sim.Stats) uint64) Metric {
		return figure(Metric{Name: name, Help: help, Counter: true}, func(s *sim.Stats) float64 { return float64(of(s)) })
	}
	return []Metric{
		run("violations", "Invariants broken. Each is a fault of the gateway, or of the simulator.", func(s *sim.Stats) uint64 { return s.Broken }),
		run("shed", "Datagrams that this machine dropped. The figures of a run with any are not to be believed: simulate fewer devices.",
			func(s *sim.Stats) uint64 { return s.Shed }),
		figure(Metric{Name: "late", Unit: Seconds, Help: "How late this machine was at most in having devices do what was due. What takes that long may be its fault."},
			func(s *sim.Stats) float64 { return s.Late.Seconds() }),
	}
}

// latencies says what the latencies of sim are called here, and what they are.
var latencies = [sim.NumLatencies]struct{ name, text string }{
	sim.ToConnect:    {"connect", "CONNECT to CONNACK"},
	sim.ToAck:        {"ack", "a report's first PUBLISH to its last acknowledgement"},
	sim.ToSubscriber: {"end_to_end", "a report's first PUBLISH to the subscriber"},
	sim.ToDrain:      {"drain", "PINGREQ of a sleeper to PINGRESP"},
	sim.ToDevice:     {"command", "a command's acknowledgement by the broker to its device"},
}

// quantiles are the percentiles that have names.
var quantiles = [...]struct {
	name string
	of   float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}}

func latencyMetrics() (m []Metric) {
	for l, name := range latencies {
		add := func(what string, unit Unit, help string, of func(d *distribution) float64) {
			wish := Lower
			if unit == Count {
				wish = Either
			}
			m = append(m, Metric{Name: name.name + "." + what, Unit: unit, Wish: wish, Counter: unit == Count,
				Help: fmt.Sprintf("%s, of the time from %s.", help, name.text),
				of: func(g *subject) (float64, bool) {
					d := distribution{g.Latency[l]}
					if unit != Count && d.count() == 0 {
						return 0, false
					}
					return of(&d), true
				}})
		}
		add("count", Count, "Measurements", func(d *distribution) float64 { return float64(d.count()) })
		add("mean", Seconds, "The mean", (*distribution).mean)
		for _, q := range quantiles {
			help := "The " + strings.TrimPrefix(q.name, "p") + "th percentile"
			switch q.name {
			case "p999":
				help = "The 99.9th percentile"
			case "max":
				help = "The longest"
			}
			add(q.name, Seconds, help, func(d *distribution) float64 { return d.at(q.of) })
		}
	}
	return m
}
