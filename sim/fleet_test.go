package sim

import (
	"testing"
	"time"

	"dormouse/mqttsn"
	"dormouse/mqttsn/client"
	"dormouse/sim/payload"
	"dormouse/sim/radio"
	"dormouse/sim/workload"
)

// sensors is a plan of one group that reports at QoS 1 each minute.
func sensors(count int) *Plan {
	return &Plan{
		Name: "test",
		Seed: 1,
		Groups: []*Group{{
			Name:     "meters",
			Count:    count,
			ClientID: "meter-%i",
			Firmware: Full,
			Client:   client.DefaultConfig(),
			Topics:   []Topic{{Name: "dev/%i/temp"}},
			Workload: workload.Config{Reports: workload.Reports{Every: time.Minute, QoS: 1, Payload: payload.Config{Size: 20}}},
			Radio: radio.Config{
				Up:   radio.Link{Latency: radio.Delay{Mean: 10 * time.Millisecond}},
				Down: radio.Link{Latency: radio.Delay{Mean: 10 * time.Millisecond}},
			},
		}},
		Stages: []Stage{{Name: "all", For: time.Hour}},
		Settle: time.Minute,
	}
}

func TestReportsArrive(t *testing.T) {
	for _, q := range []mqttsn.QoS{mqttsn.QoSMinusOne, 0, 1, 2} {
		p := sensors(10)
		p.Groups[0].Workload.Reports.QoS = q
		w := newWorld(t, p)
		w.until(time.Hour + time.Minute)
		s := w.stats()
		u := s.Ledger.Uplink
		if u.Sent < 10*58 || u.Sent > 10*60 || u.Received != u.Sent || u.Acknowledged != u.Sent {
			t.Errorf("QoS %d: %+v; want 10 reports a minute for an hour, all of them received", q, u)
		}
		if connects := s.Connects; q == mqttsn.QoSMinusOne && connects != 0 || q >= 0 && connects != 10 {
			t.Errorf("QoS %d: %d connects", q, connects)
		}
		w.f.Close(w.now)
		if w.f.Broken() != 0 {
			t.Errorf("QoS %d: %d invariants broken", q, w.f.Broken())
		}
	}
}
