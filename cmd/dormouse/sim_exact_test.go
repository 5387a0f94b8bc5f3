package main

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/mqttsn/gateway"
	"dormouse/sim"
	"dormouse/sim/drive"
	"dormouse/sim/radio"
	"dormouse/sim/scenario"
	"dormouse/sim/udp"
)

// exact is a fleet whose figures are compared with the broker's: on a radio
// that loses a fifth, reports of each QoS, and commands. Nobody is asleep for
// so long that his connection is lost.
const exact = `
name: exact
groups:
  once:
    count: 40
    keepalive: 10m
    retry: {interval: 300ms, max: 20}
    reports: {every: 500ms, qos: 0}
    radio: {latency: 3ms, loss: 20%}
  acknowledged:
    count: 40
    keepalive: 10m
    retry: {interval: 300ms, max: 20}
    reports: {every: 1s, qos: 1}
    commands: {topic: "c/%i", every: 2s, qos: 1}
    radio: {latency: 3ms, loss: 20%}
  assured:
    count: 40
    keepalive: 10m
    retry: {interval: 300ms, max: 20}
    reports: {every: 1s, qos: 2}
    radio: {latency: 3ms, loss: 20%}
stages:
  - {name: all, for: 6s, arrive: {once: 1s, acknowledged: 1s, assured: 1s}}
settle: 9s
`

// A tallied are the figures that the simulator and the broker both have.
type tallied struct {
	published uint64 // messages that the broker took
	sent      uint64 // messages that the broker handed out
	received  uint64 // datagrams at the gateway
	answered  uint64 // datagrams from the gateway
}

// talliedOf adds up what the simulator says.
func talliedOf(s *sim.Stats) (t tallied) {
	for i := range s.Groups {
		g := &s.Groups[i]
		u, d := &g.Ledger.Uplink, &g.Ledger.Downlink
		t.published += u.Received + u.Duplicates + d.Accepted
		t.sent += u.Received + u.Duplicates + d.Accepted
		t.received += g.Up.Radio.Outcomes[radio.Arrived] + g.Up.Radio.Copies
		t.answered += g.Down.Radio.Sent
	}
	return t
}

// sound checks figures of the simulator among themselves.
func sound(t *testing.T, s *sim.Stats) {
	t.Helper()
	if s.Broken != 0 {
		t.Errorf("%d invariants are broken; the first: %+v", s.Broken, s.Violations[0])
	}
	if s.Shed != 0 {
		t.Errorf("this machine dropped %d datagrams", s.Shed)
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		u := &g.Ledger.Uplink
		if u.Sent == 0 || u.Sent != u.Acknowledged+u.TimedOut+u.Refused+u.InFlight {
			t.Errorf("%s: sent %d, acknowledged %d, timed out %d, refused %d, in flight %d", g.Name, u.Sent, u.Acknowledged, u.TimedOut, u.Refused, u.InFlight)
		}
		switch lost := float64(g.Up.Radio.Sent - g.Up.Radio.Outcomes[radio.Arrived]); {
		case lost < 0.1*float64(g.Up.Radio.Sent), lost > 0.3*float64(g.Up.Radio.Sent):
			t.Errorf("%s: %v of %d datagrams were lost, want a fifth", g.Name, lost, g.Up.Radio.Sent)
		case g.Name == "once" && u.Received != u.Carried:
			t.Errorf("at QoS 0 %d reports reached the gateway, and %d the subscriber", u.Carried, u.Received)
		case g.Name != "once" && u.Received != u.Sent:
			t.Errorf("%s: %d of %d reports reached the subscriber", g.Name, u.Received, u.Sent)
		case g.Name == "assured" && u.Duplicates != 0:
			t.Errorf("at QoS 2 %d reports came twice", u.Duplicates)
		}
	}
}

// TestExact: what the simulator counts is what the broker counts, to the last
// message and datagram, in virtual time.
func TestExact(t *testing.T) {
	out, w := virtually(t, exact, scenario.Overrides{}, func(w *world) {
		w.cfg.MQTTSN.Retry = config.Retry{Interval: config.Duration(time.Second), Max: 10}
	})
	sound(t, out.Final)
	s := w.broker.Stats()
	broker := tallied{published: s.Received.Messages, sent: s.Sent.Messages}
	gateway.Each([]*gateway.Gateway{w.gateway}, func(name, _, _ string, n uint64) {
		switch name {
		case "dormouse_mqttsn_datagrams_received_total":
			broker.received = n
		case "dormouse_mqttsn_datagrams_sent_total":
			broker.answered = n
		}
	})
	if got := talliedOf(out.Final); got != broker {
		t.Errorf("the simulator counts %+v, the broker %+v", got, broker)
	}
	if s.Dropped.Total() != 0 {
		t.Errorf("the broker dropped %+v", s.Dropped)
	}
}

// TestExactOverUDP: the same by the wall clock against the binary, whose
// figures are those it has for Prometheus: to ask for them changes none, as
// what a subscriber to $SYS is sent does.
func TestExactOverUDP(t *testing.T) {
	t.Parallel()
	server := serve(t, "--set", "mqttsn.retry.interval=1s", "--set", "mqttsn.retry.max=10")
	ob, err := newObserver(t.Context(), (&site{MQTT: "mqtt://" + server.tcp}).whom())
	if err != nil {
		t.Fatal(err)
	}
	defer ob.Close()
	s, err := scenario.Parse("exact", []byte(exact))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(scenario.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := udp.Open(udp.Config{Target: netip.MustParseAddrPort(server.udp)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	out, err := drive.Wall(t.Context(), p, n, ob, drive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sound(t, out.Final)
	want := talliedOf(out.Final)
	ctx, cancel := context.WithTimeout(t.Context(), failAfter)
	defer cancel()
	for {
		figures := server.figures()
		got := tallied{
			published: figures["dormouse_messages_received_total"],
			sent:      figures["dormouse_messages_sent_total"],
			received:  figures["dormouse_mqttsn_datagrams_received_total"],
			answered:  figures["dormouse_mqttsn_datagrams_sent_total"],
		}
		lost := figures["dormouse_messages_dropped_total"]
		if got == want && lost == 0 {
			return
		}
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("the simulator counts %+v, the broker %+v and %d dropped", want, got, lost)
		}
	}
}

// figures are what the server has for Prometheus, each the sum of its parts.
func (p *process) figures() map[string]uint64 {
	p.t.Helper()
	var admin string
	for _, line := range p.opened {
		if rest, ok := strings.CutPrefix(line, "Admin on "); ok {
			admin, _, _ = strings.Cut(rest, " ")
		}
	}
	answer, err := http.Get(admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	figures := make(map[string]uint64)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] += uint64(v)
		}
	}
	return figures
}
